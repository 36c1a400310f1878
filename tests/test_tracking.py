import json
import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from arena.answer.verdict import read_verdict
from arena.errors import ArenaError
from arena.figures import draw_all
from arena.records import read_records
from arena.tracking import PhaseLogger, Tracker
from tests.figures.drawable import drawable_run


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
    tracker = Tracker(mode=mode, project="arena", entity=None)
    tracker.start(run, settings={"seed": 0}, group="smoke", tags=["none"])
    return tracker


def stored(run: Path, last: bytes) -> bytes:
    """What W&B wrote; its own process may still be at it when ``finish`` returns, so the last key is waited for."""
    deadline = time.monotonic() + 30
    while True:
        content = b"".join(path.read_bytes() for path in sorted((run / "wandb").glob("offline-run-*/run-*.wandb")))
        if last in content or time.monotonic() > deadline:
            return content
        time.sleep(0.1)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of Lightning, for a Trainer this small
def test_an_offline_run_holds_what_the_records_hold(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=1, techniques={"cnn": 0.8, "stack": 0.9})
    tracker = begun("offline", run)
    train(tracker.logger("round_00/respond"))
    tracker.records(read_records(run))
    draw_all(run, run / "figures")
    tracker.finish(run)

    content = stored(run, last=b"verdict")
    for key in ("auc/frozen/cnn", "auc/retrained/stack", "auc/fresh/cnn", "quality/recall", "seconds/forge/generator"):
        assert key.encode() in content
    for key in ("round_00/respond/loss", "round_00/respond/images", "figures/timeline", "verdict"):
        assert key.encode() in content
    assert json.dumps(read_verdict(run).answer).encode() in content
    assert b"trainer/global_step" not in content  # it would start over with every phase

    identity = (run / "wandb" / "id").read_text()
    again = begun("offline", run)
    again.close()
    names = {path.name for path in (run / "wandb").glob("offline-run-*/run-*.wandb")}
    assert names == {f"run-{identity}.wandb"}  # a resumed race goes on with the same run


def test_none_tracks_nothing_and_imports_no_wandb(tmp_path):
    code = (
        "import sys; from pathlib import Path; from arena.tracking import Tracker;"
        "tracker = Tracker(mode='none', project='arena', entity=None);"
        f"run = Path({str(tmp_path)!r}); tracker.start(run, settings={{}}, group='', tags=[]);"
        "assert tracker.logger('round_00/respond') is False;"
        "tracker.records([]); tracker.finish(run); sys.exit('wandb' in sys.modules)"
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
    assert [record.levelname for record in caplog.records if record.name == "arena.tracking"] == ["WARNING"]
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
    with caplog.at_level(logging.WARNING, logger="arena.tracking"):
        tracker = begun("offline", run)
        assert tracker.logger("round_00/respond") is False
        tracker.records(read_records(run))
        tracker.finish(run)
        tracker.close()
    assert len(caplog.records) == 1
    assert "disk full" in caplog.text
    assert "and more" not in caplog.text


def test_a_logger_outlives_a_run_that_failed(tmp_path, caplog):
    class Dying:
        def define_metric(self, *_, **__):
            pass

        def log(self, *_):
            raise ConnectionError("gone")

    tracker = Tracker(mode="offline", project="arena", entity=None)
    dying = Dying()
    tracker._run = dying  # type: ignore[assignment]
    logger = tracker.logger("round_00/respond")
    assert isinstance(logger, PhaseLogger)
    for step in range(3):
        logger.log_metrics({"loss": 1.0}, step)
    assert caplog.text.count("gone") == 1


def test_a_mode_there_is_not():
    with pytest.raises(ArenaError, match=r"logger\.mode=cloud: expected offline, online or none"):
        Tracker(mode="cloud", project="arena", entity=None)  # type: ignore[arg-type]
