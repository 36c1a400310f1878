import os

import pytest

from arena.answer.answer import read_answer
from arena.answer.series import read_series
from arena.figures.tables import scores_table, write_table
from arena.records.schema import PhaseRecord
from arena.records.store import read_records
from arena.tracking.contents import curves, flat, kept, pictures, scores
from tests.figures.drawable import drawable_run
from tests.synthetic import synthetic_run

pytestmark = pytest.mark.slow


def closed_by(records, phase, round_index):
    """The records of a race that has come as far as that phase; the synthetic race closes some once a technique."""
    last = max(
        n
        for n, record in enumerate(records, 1)
        if isinstance(record, PhaseRecord) and (record.phase, record.round) == (phase, round_index)
    )
    return records[:last]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return drawable_run(
        tmp_path_factory.mktemp("rounds") / "run", techniques={"a": 0.6, "b": 0.7, "c": 0.8, "stack": 0.9}
    )


def test_a_figure_is_shown_by_the_phase_that_settles_it(run):
    records = read_records(run)
    families = {
        phase: {key.rpartition("/")[0] for key in curves(run, closed_by(records, phase, 1))}
        for phase in ("forge", "confront", "retrain", "judge", "measure", "respond")
    }
    assert families == {
        "forge": set(),
        "confront": {"auc/frozen"},
        "retrain": {"auc/retrained"},
        "judge": set(),
        "measure": {"auc/fresh", "strongest", "quality", "seconds"},
        "respond": {"seconds"},
    }


def test_fresh_judges_are_taken_together_as_the_table_does(run):
    records = read_records(run)
    for round_index in range(3):
        metrics = curves(run, closed_by(records, "measure", round_index))
        for series in read_series(run, records):
            assert metrics[f"auc/fresh/{series.technique}"] == series.at("fresh", round_index).value


def test_the_strongest_is_the_one_the_verdict_would_name(run):
    metrics, strongest = curves(run, closed_by(read_records(run), "measure", 2)), read_answer(run).verdict.strongest
    assert strongest is not None
    assert metrics["strongest/technique"] == strongest.technique
    assert metrics["strongest/auc"] == strongest.auc
    low, auc, high = (float(metrics[f"strongest/{name}"]) for name in ("low", "auc", "high"))
    assert low <= auc <= high


def test_a_big_battery_has_a_small_map(run):
    records = read_records(run)
    assert pictures(run, closed_by(records, "judge", 2)) == {}
    shown = pictures(run, closed_by(records, "measure", 2))
    titles = [axes.get_title(loc="left").partition(" ")[0] for axes in shown["payoff"].axes]
    assert [title for title in titles if title] == ["c", "stack"]
    assert [words.get_text() for words in shown["faces"].texts] == ["reals", "round 2"]


def test_the_map_shows_rounds_as_far_as_the_race_has_come(run):
    records = read_records(run)
    maps = [pictures(run, closed_by(records, "measure", r))["payoff"].axes[0].images[0] for r in range(3)]
    assert [image.get_size() for image in maps] == [(1, 1), (2, 2), (3, 3)]


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


def test_tables_of_all_runs_have_the_same_columns_and_types(tmp_path):
    """A race without responses has no frozen AUC, and yet a numeric column for it."""
    tables = []
    for rounds in (0, 1):
        run = synthetic_run(tmp_path / f"{rounds}", rounds=rounds, techniques={"cnn": 0.8}, n_real=60, n_fake=60)
        write_table(scores_table(read_series(run, read_records(run))), run / "figures" / "scores")
        tables.append(scores(run))
    one, two = tables
    assert one.columns == two.columns
    assert one._column_types == two._column_types
    assert one.get_column("frozen") == [None]


@pytest.mark.parametrize(
    ("artifacts", "names"), [("all", ["report", "records", "checkpoints"]), ("report", ["report"]), ("none", [])]
)
def test_artifacts_hold_the_files_that_the_race_made(tmp_path, monkeypatch, artifacts, names):
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    run = tmp_path / "run"
    detector = "checkpoints/round_03/detectors/cnn.pt"
    for name in ("report.html", "config.yaml", "records.jsonl", "scores/a.npz", detector):
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
