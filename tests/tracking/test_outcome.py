import os

import pytest

from arena.figures.draw import draw_all
from arena.tracking.outcome import flat, kept, scores
from tests.figures.drawable import drawable_run


def test_a_verdict_is_flat_keys_that_sort_and_filter():
    verdict = {
        "answer": "caught",
        "limit": None,
        "guards": {"quality": {"figure": 0.2, "holds": False}},
        "faults": ["rolled back", "twice"],
    }
    assert flat(verdict) == {
        "verdict/answer": "caught",
        "verdict/guards/quality/figure": 0.2,
        "verdict/guards/quality/holds": False,
        "verdict/faults": "rolled back; twice",
    }


@pytest.mark.slow
def test_tables_of_all_runs_have_the_same_columns_and_types(tmp_path):
    """A race without responses has no frozen AUC, and yet a numeric column for it."""
    tables = []
    for rounds in (0, 1):
        run = drawable_run(tmp_path / f"{rounds}", rounds=rounds, techniques={"cnn": 0.8, "stack": 0.9})
        draw_all(run, run / "figures")
        tables.append(scores(run))
    one, two = tables
    assert one.columns == two.columns
    assert one._column_types == two._column_types
    assert one.get_column("frozen") == [None, None]


@pytest.mark.parametrize(
    ("artifacts", "names"), [("all", ["report", "records", "checkpoints"]), ("report", ["report"]), ("none", [])]
)
def test_artifacts_hold_the_files_that_the_race_made(tmp_path, monkeypatch, artifacts, names):
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    run = tmp_path / "run"
    for name in (
        "report.html",
        "config.yaml",
        "records.jsonl",
        "scores/a.npz",
        "checkpoints/round_03/detectors/cnn.pt",
    ):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
    generator = run / "checkpoints" / "round_03" / "gan" / "generator.safetensors"
    made = list(kept(run, "1a2b", {"round": 3, "answer": "caught", "sentence": "Caught."}, artifacts))
    assert [artifact.name for artifact in made] == [f"{name}-1a2b" for name in names]
    if artifacts == "all":
        assert sorted(made[1].manifest.entries) == ["config.yaml", "records.jsonl", "scores/a.npz"]
        assert sorted(made[2].manifest.entries) == ["config.yaml"]  # an oracle has no generator
    generator.parent.mkdir()
    generator.write_text("weights")
    verdict = {"round": 3, "answer": "caught", "sentence": ""}
    later = {artifact.name: artifact for artifact in kept(run, "1a2b", verdict, artifacts)}
    if artifacts == "all":
        entry = later["checkpoints-1a2b"].manifest.entries["checkpoints/round_03/gan/generator.safetensors"]
        assert entry.local_path == str(generator), "weights are not copied"
    assert "WANDB_DATA_DIR" in os.environ
