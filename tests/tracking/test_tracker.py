import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from arena.answer.answer import read_answer
from arena.records.schema import PhaseRecord
from arena.records.store import read_records
from arena.tracking.phase_logger import PhaseLogger
from arena.tracking.tracker import Labels, Tracker
from tests.figures.drawable import drawable_run
from tests.offline import offline_runs

LABELS = Labels("run", "smoke", "none", ["access=none"])


class Line(pl.LightningModule):
    """The smallest thing that trains; it counts the images it has seen, as every phase does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, index):
        loss = self.layer(batch[0]).mean()
        self.log_dict({"loss": loss, "images": 4.0 * (index + 1)})
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(logger) -> None:
    trainer = pl.Trainer(
        max_steps=2,
        accelerator="cpu",
        logger=logger,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Line(), DataLoader(TensorDataset(torch.ones(8, 1)), batch_size=4))


def begun(mode, run: Path) -> Tracker:
    tracker = Tracker(mode=mode, project="arena", entity=None, artifacts="all")
    tracker.start(run, settings={"seed": 0}, labels=LABELS)
    return tracker


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of Lightning, for a Trainer this small
def test_a_phase_has_a_prefix_and_an_axis_of_its_own(tmp_path):
    tracker = begun("offline", tmp_path)
    train(tracker.logger("round_00/respond"))
    train(tracker.logger("round_01/respond"))
    tracker.close()
    (written,) = offline_runs(tmp_path)
    for phase in ("round_00/respond", "round_01/respond"):
        assert [images for images, _ in written.over(f"{phase}/loss", f"{phase}/images")] == [4.0, 8.0]
        assert written.steps[f"{phase}/*"] == f"{phase}/images"
    assert "trainer/global_step" not in written.metrics  # it would start over with every phase
    assert "epoch" not in {key.rpartition("/")[2] for key in written.metrics}


@pytest.mark.slow
def test_a_race_that_goes_on_shows_what_is_new_and_what_a_kill_kept_from_being_shown(tracked, tmp_path):
    run = Path(shutil.copytree(tracked.run, tmp_path / "run", ignore=shutil.ignore_patterns("wandb")))
    records = read_records(run)
    ends = {(record.phase, record.round): n for n, record in enumerate(records, 1) if isinstance(record, PhaseRecord)}
    tracker = begun("offline", run)
    tracker.log({"round_00/respond/images": 64.0})
    tracker.records(records[: ends["measure", 0]])
    tracker.close()
    again = begun("offline", run)  # killed in round 1, after its retraining was closed and before it was shown
    again.log({"round_01/respond/images": 64.0})
    again.records(records[: ends["judge", 1]])
    again.records(records[: ends["judge", 1]])
    again.finish(read_answer(run))

    first, second = offline_runs(run)
    assert first.run.run_id == second.run.run_id == (run / "wandb" / "id").read_text()
    assert (first.exit_code, second.exit_code) == (1, 0)
    rows = first.history + second.history
    assert [row["_step"] for row in rows] == [*range(len(rows))]  # or the second would be taken for the first again
    for key in ("auc/retrained/cnn", "auc/fresh/stack", "quality/recall", "seconds/judge", "faces", "payoff"):
        assert [row["round"] for row in rows if key in row] == [0, 1], key
    assert [row["round"] for row in rows if "auc/frozen/cnn" in row] == [1]
    assert [row["round"] for row in rows if "seconds/respond" in row] == [0]
    spent = [row["seconds/race"] for row in rows if "faces" in row]
    so_far = [
        sum(record.seconds for record in records[: ends["measure", r]] if isinstance(record, PhaseRecord))
        for r in (0, 1)
    ]
    assert spent == so_far  # of each round as it was then, though shown later


def test_a_bank_that_is_gone_costs_its_picture_only(tmp_path, caplog):
    run = drawable_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.8, "stack": 0.9})
    (run / "banks" / "round_00.npz").unlink()
    tracker = begun("offline", run)
    tracker.records(read_records(run))
    tracker.close()
    (written,) = offline_runs(run)
    assert written.over("payoff")
    assert not written.over("faces")
    assert caplog.records == [] or "failed" not in caplog.text


@pytest.mark.slow
def test_none_tracks_nothing_and_imports_no_wandb(tmp_path):
    code = (
        "import sys; from pathlib import Path; from arena.tracking.tracker import Tracker;"
        "tracker = Tracker(mode='none', project='arena', entity=None, artifacts='all');"
        f"run = Path({str(tmp_path)!r}); tracker.start(run, settings={{}}, labels=None);"
        "assert tracker.logger('round_00/respond') is False;"
        "tracker.records([]); tracker.finish(None); sys.exit('wandb' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_online_without_a_key_goes_on_offline_and_says_so_once(tmp_path, monkeypatch, caplog):
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with caplog.at_level(logging.WARNING):
        tracker = begun("online", tmp_path)
        tracker.close()
    assert [record.levelname for record in caplog.records if record.name == "arena.tracking.tracker"] == ["WARNING"]
    assert "offline" in caplog.text
    assert list((tmp_path / "wandb").glob("offline-run-*"))


class Broken:
    """A W&B run whose every call fails."""

    def __getattr__(self, name):
        raise OSError("disk full\nand more")


@pytest.mark.parametrize("failing", ["init", "everything"])
def test_a_failing_wandb_is_one_warning_and_no_exception(tmp_path, monkeypatch, caplog, failing):
    import wandb

    def init(**_):
        if failing == "init":
            raise OSError("disk full\nand more")
        return Broken()

    monkeypatch.setattr(wandb, "init", init)
    run = drawable_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.5})
    with caplog.at_level(logging.WARNING, logger="arena.tracking.tracker"):
        tracker = begun("offline", run)
        assert tracker.logger("round_00/respond") is False
        tracker.records(read_records(run))
        tracker.finish(read_answer(run))
        tracker.close()
    assert len(caplog.records) == 1
    assert "disk full" in caplog.text
    assert "and more" not in caplog.text


def test_a_logger_outlives_a_run_that_failed(tmp_path, monkeypatch, caplog):
    import wandb

    class Dying:
        offline = False

        def define_metric(self, *_, **__):
            pass

        def log(self, *_):
            raise ConnectionError("gone")

    monkeypatch.setattr(wandb, "init", lambda **_: Dying())
    logger = begun("offline", tmp_path).logger("round_00/respond")
    assert isinstance(logger, PhaseLogger)
    for step in range(3):
        logger.log_metrics({"loss": 1.0}, step)
    assert caplog.text.count("gone") == 1
