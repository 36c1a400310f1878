"""The files of an offline run agree with the records that it shows."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from arena.answer.answer import read_answer
from arena.answer.series import on_timeline, read_series
from arena.config.saved import read_config
from arena.figures.images import APART
from arena.figures.marks import REGIMES
from arena.race.race import Race
from arena.records.schema import PhaseRecord, QualityRecord, TrainingRecord
from arena.records.store import read_records
from tests.offline import OfflineRun, offline_runs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def offline(tracked: Race) -> OfflineRun:
    (written,) = offline_runs(tracked.run)
    return written


def test_the_curves_are_the_records_over_the_rounds(tracked: Race, offline: OfflineRun):
    records = read_records(tracked.run)
    for series in read_series(tracked.run, records):
        name = series.technique
        for regime in REGIMES:
            expected = [(r, series.at(regime, r).value) for r in series.rounds if on_timeline(records, name, regime, r)]
            assert len(expected) == (1 if regime == "frozen" else 2)
            assert offline.over(f"auc/{regime}/{name}") == expected
    for name in ("kernel_distance", "real_kernel_distance", "recall", "memorisation"):
        measured = [(record.round, getattr(record, name)) for record in records if isinstance(record, QualityRecord)]
        assert offline.over(f"quality/{name}") == measured
    phases = [record for record in records if isinstance(record, PhaseRecord)]
    for r in range(2):
        spent = sum(phase.seconds for phase in phases if (phase.phase, phase.round) == ("judge", r))
        assert dict(offline.over("seconds/judge"))[r] == pytest.approx(spent)
    assert [r for r, _ in offline.over("seconds/respond")] == [0]
    assert offline.over("seconds/race")[-1][1] == pytest.approx(sum(phase.seconds for phase in phases))


def test_every_phase_has_its_training_curves(tracked: Race, offline: OfflineRun):
    measured = [record for record in read_records(tracked.run) if isinstance(record, TrainingRecord)]
    for phase, purpose in (("round_00/warm-up", "warm-up"), ("round_00/respond", "respond")):
        curve = [(record.images, record.kernel_distance) for record in measured if record.purpose == purpose]
        assert len(curve) == 1, measured
        assert offline.over(f"{phase}/kernel_distance", f"{phase}/images") == curve
        losses = offline.over(f"{phase}/gan/discriminator_adversarial", f"{phase}/images")
        assert [images for images, _ in losses] == [800]
    for phase in ("round_00/retrain", "round_01/retrain"):
        seen = [images for images, _ in offline.over(f"{phase}/cnn/validation_auc", f"{phase}/images")]
        assert seen
        assert seen == sorted(set(seen))


def test_every_metric_knows_its_axis(offline: OfflineRun):
    """Metrics logged beside ``round`` run over it, those of a phase over the images of the phase."""
    phases = ("round_00/warm-up", "round_00/retrain", "round_00/respond", "round_01/retrain")
    assert {step for step in offline.steps.values() if step} == {"round", *(f"{phase}/images" for phase in phases)}
    for row in offline.history[:-1]:
        axis = "round" if "round" in row else next(key for key in row if key.endswith("/images"))
        for key in row.keys() - {axis} - {key for key in row if key.startswith("_")}:
            globs = {glob: step for glob, step in offline.steps.items() if step and key.startswith(glob.rstrip("*"))}
            assert set(globs.values()) == {axis}, key


def test_the_table_is_the_csv_with_typed_columns(tracked: Race, offline: OfflineRun):
    (row,) = [row for row in offline.history if "scores" in row]
    table = json.loads(offline.media(row["scores"]).read_text())
    with (tracked.run / "figures" / "scores.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    assert table["columns"] == header
    assert len(table["data"]) == len(lines) == 2 * len(tracked.techniques)
    for cells, line in zip(table["data"], lines, strict=True):
        assert [type(cell) for cell in cells[:3]] == [int, str, str]
        assert [str(cells[0]), *cells[1:3]] == line[:3]
        assert ["" if cell is None else f"{cell:.4f}" for cell in cells[3:]] == line[3:]


def test_the_pictures_are_there_one_a_round(tracked: Race, offline: OfflineRun):
    faces = offline.over("faces")
    assert [r for r, _ in faces] == [0, 1]
    assert [r for r, _ in offline.over("payoff")] == [0, 1]
    reals = np.load(tracked.run / "banks" / "reals.npz")["sample"][0, 0]
    for r, picture in faces:
        with Image.open(offline.media(picture)) as image:
            pixels = np.asarray(image.convert("L"))
        scale = 72 // 8
        fakes = np.load(tracked.run / "banks" / f"round_{r:02d}.npz")["test"][0, 0]
        top, bottom = (
            pixels[y : y + 72, 124 : 124 + 72][scale // 2 :: scale, scale // 2 :: scale] for y in (0, 76 + APART)
        )
        assert (top == reals).all(), "reals above"
        assert (bottom == fakes).all(), "the fakes of that round below"
    last = offline.history[-1]
    drawn = {path.stem: path for path in (tracked.run / "figures").glob("*.png")}
    assert {key.removeprefix("figures/") for key in last if key.startswith("figures/")} == set(drawn)
    for stem, path in drawn.items():
        assert offline.media(last[f"figures/{stem}"]).read_bytes() == path.read_bytes()


def test_the_summary_holds_the_verdict_flat(tracked: Race, offline: OfflineRun):
    verdict = json.loads((tracked.run / "verdict.json").read_text())
    assert offline.summary["verdict/answer"] == verdict["answer"]
    assert offline.summary["verdict/sentence"] == verdict["sentence"]
    assert offline.summary["verdict/strongest/auc"] == verdict["strongest"]["auc"]
    for name, guard in verdict["guards"].items():
        assert {key: offline.summary.get(f"verdict/guards/{name}/{key}") for key in guard} == guard
    for technique, test in verdict["techniques"].items():
        assert offline.summary[f"verdict/techniques/{technique}/auc"] == test["auc"]
        assert offline.summary[f"verdict/techniques/{technique}/finding"] == test["finding"]
    scalar = (str, int, float, bool)
    assert all(isinstance(value, scalar) for key, value in offline.summary.items() if key.startswith("verdict"))


def test_the_artifacts_hold_the_files(tracked: Race, offline: OfflineRun):
    identity = (tracked.run / "wandb" / "id").read_text()
    answer = read_answer(tracked.run).verdict.answer
    detectors = list((tracked.run / "checkpoints" / "round_01" / "detectors").glob("*.safetensors"))
    assert len(detectors) >= len(tracked.members)
    detectors = {path.relative_to(tracked.run).as_posix() for path in detectors}
    scores = {path.relative_to(tracked.run).as_posix() for path in (tracked.run / "scores").glob("*.npz")}
    expected = {
        "report": ("report", {"report.html"}),
        "records": ("records", {"config.yaml", "verdict.json", "records.jsonl"} | scores),
        "checkpoints": ("model", {"config.yaml", "checkpoints/round_01/gan/generator.safetensors"} | detectors),
    }
    assert {name for name in offline.artifacts if not name.startswith("run-")} == {f"{k}-{identity}" for k in expected}
    for name, (kind, files) in expected.items():
        artifact = offline.artifacts[f"{name}-{identity}"]
        assert artifact.type == kind
        assert set(artifact.aliases) == {"latest", "round_01", answer}
        assert {entry.path for entry in artifact.manifest.contents} == files
        for entry in artifact.manifest.contents:
            path = tracked.run / entry.path
            with open(entry.local_path, "rb") as file:
                assert file.read() == path.read_bytes()
            copied = entry.local_path != str(path)
            assert copied == (entry.path in ("report.html", "verdict.json")), "only what may be written anew is copied"
            assert str(tracked.run) in entry.local_path, "all of it lies with the run"


def test_from_the_records_artifact_the_verdict_is_read_again(tracked: Race, offline: OfflineRun, tmp_path: Path):
    (records,) = [artifact for artifact in offline.artifacts.values() if artifact.type == "records"]
    for entry in records.manifest.contents:
        (tmp_path / entry.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(entry.local_path, tmp_path / entry.path)
    assert read_answer(tmp_path).verdict == read_answer(tracked.run).verdict


def test_config_group_job_type_and_tags(tracked: Race, offline: OfflineRun):
    shown = {key: value for key, value in offline.config.items() if not key.startswith("_")}
    assert shown == json.loads(json.dumps(read_config(tracked.run)))
    assert (offline.run.display_name, offline.run.run_group, offline.run.job_type) == ("run", "smoke", "white_box")
    assert list(offline.run.tags) == ["access=white_box", "data=digits"]
    assert offline.exit_code == 0
