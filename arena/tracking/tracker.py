"""Show a race on Weights & Biases: start, phases, records and outcome."""

import logging
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from PIL import Image

from arena.answer.answer import Answer
from arena.core.errors import first_line
from arena.figures.axes import png
from arena.records.schema import PhaseRecord, Record
from arena.tracking.contents import OVER_ROUNDS, Artifacts, curves, pictures, show_outcome
from arena.tracking.upload import Upload

if TYPE_CHECKING:
    from wandb import Run

    from arena.tracking.phase_logger import PhaseLogger

Mode = Literal["offline", "online", "none"]

PATIENCE = 10.0
"""Seconds that a race waits for W&B at its end, for all that is not sent yet."""
START = 60.0
"""Seconds in which W&B's own process on this machine has to start. It takes less than one unless others are at work."""
NAME, TAG = 128, 64
"""Largest number of characters W&B accepts for a name or a group, and for a tag."""

_log = logging.getLogger(__name__)


class Labels(NamedTuple):
    """Name, group and tags of a W&B run: the races of a sweep are a group, the job type is the condition."""

    name: str
    group: str
    job_type: str
    tags: Sequence[str]


class Tracker:
    """The W&B run of a race.

    It is written offline, without the network. With mode online, a second process uploads it as it grows. The race
    waits for that at its end alone, ``PATIENCE`` at most, and then names the command that sends the rest. The race goes
    on if W&B fails, with one warning. The terminal never asks for a key.

    Args:
        mode: offline, online, or none, which does not even import W&B.
        project: on W&B.
        entity: user or team on W&B, None for the default one.
        artifacts: kept at the end: all (report, records with scores, the last round's checkpoints), report, or none.
    """

    def __init__(self, *, mode: Mode, project: str, entity: str | None, artifacts: Artifacts) -> None:
        self.mode: Mode = mode
        self.project, self.entity = project, entity
        self.artifacts: Artifacts = artifacts
        self._run: Run | None = None
        self._upload: Upload | None = None
        self._folder = Path()

    def start(self, run: Path, *, settings: Mapping[str, object], labels: Labels) -> None:
        """Start the W&B run, or continue the one that this run directory started before.

        Args:
            run: the run directory; W&B's files go to ``run/wandb``.
            settings: the resolved config, shown on W&B.
            labels: name, group and tags.
        """
        if self.mode == "none":
            return
        self._folder = run
        try:
            self._run = self._begin(settings, labels)
        except Exception as error:  # W&B raises errors of many types
            self._give_up(error)
        self.attempt(_define_axes)
        self.attempt(self._continue_steps)
        if self.mode == "online":
            self.attempt(self._begin_upload)

    def logger(self, phase: str) -> "PhaseLogger | Literal[False]":
        """Return the ``logger`` of a phase's Trainer, or False, which Lightning takes for none.

        ``phase`` is the prefix of its metrics, such as ``"round_03/respond"``.
        """
        from arena.tracking.phase_logger import PhaseLogger  # needs torch, which readers of a run do not have

        loggers: list[PhaseLogger] = []
        self.attempt(lambda run: loggers.append(PhaseLogger(self.log, run, phase)))
        return loggers[0] if loggers else False

    def log(self, row: Mapping[str, object]) -> None:
        """Log a row of metrics."""
        self.attempt(lambda run: self._log(run, row))

    def records(self, records: Sequence[Record]) -> None:
        """Show the phases that were not shown before; ``records`` are all of the race so far."""
        self.attempt(lambda run: self._show(run, records))
        if self._upload is not None and self._upload.failed:
            self._end_upload(0.0)

    def finish(self, answer: Answer) -> None:
        """Show the outcome of a race whose figures, verdict and report are written, and end the W&B run."""
        self.attempt(lambda run: self._show(run, answer.run.records))
        self.attempt(lambda run: show_outcome(run, answer, self.artifacts))
        self._end(exit_code=0)

    def close(self) -> None:
        """End the W&B run of a race that stopped early, as failed; after ``finish`` this does nothing."""
        self._end(exit_code=1)

    def attempt(self, act: Callable[["Run"], object]) -> None:
        """Apply ``act`` to the W&B run, if there is one; a failure ends the tracking."""
        if self._run is not None:
            try:
                act(self._run)
            except Exception as error:
                self._give_up(error)

    def _end(self, exit_code: int) -> None:
        self.attempt(lambda run: run.finish(exit_code=exit_code))
        self._run = None
        self._end_upload(PATIENCE)

    def _begin_upload(self, run: "Run") -> None:
        self._upload = Upload(Path(run.dir).parent)

    def _end_upload(self, seconds: float) -> None:
        """Wait for the upload, and name the command that sends what it has not sent."""
        upload, self._upload = self._upload, None
        if upload is not None and not upload.end(seconds):
            _log.warning(
                "W&B has not received all of this race, kept offline: `wandb sync %s` sends the rest (%s says why)",
                self._folder / "wandb",
                upload.log,
            )

    def _begin(self, settings: Mapping[str, object], labels: Labels) -> "Run":
        """Start the W&B run of the run directory, whose id is drawn once."""
        import wandb

        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it sends figures of its own at the end, and waits
        wandb.setup(settings=wandb.Settings(silent=True))
        identity = self._folder / "wandb" / "id"
        if not identity.is_file():
            identity.parent.mkdir(parents=True, exist_ok=True)
            identity.write_text(secrets.token_hex(4), encoding="utf-8")
        return wandb.init(
            mode="offline",
            project=self.project,
            entity=self.entity,
            dir=self._folder,
            id=identity.read_text(encoding="utf-8").strip(),
            name=labels.name[:NAME],
            group=labels.group[:NAME],
            job_type=labels.job_type,
            tags=[tag[:TAG] for tag in labels.tags],
            config=dict(settings),
            reinit="finish_previous",
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                x_disable_stats=True,
                init_timeout=START,
                finish_timeout=PATIENCE,
            ),
        )

    def _log(self, run: "Run", row: Mapping[str, object]) -> None:
        """Log a row and write the next step to ``wandb/step``, which W&B does not keep for an offline run."""
        run.log(dict(row))
        (self._folder / "wandb" / "step").write_text(str(run.step), encoding="utf-8")

    def _continue_steps(self, run: "Run") -> None:
        """Continue the steps of an earlier start, so that ``wandb sync`` has one row a step."""
        step = self._folder / "wandb" / "step"
        if step.is_file():
            run.log({}, step=int(step.read_text(encoding="utf-8")))

    def _show(self, run: "Run", records: Sequence[Record]) -> None:
        """Show each phase once: phases shown are listed in ``wandb/shown``, also across restarts.

        A phase that ended without being shown, such as under ``logger=none``, is shown later from its records.
        """
        import wandb

        ledger = self._folder / "wandb" / "shown"
        shown = set(ledger.read_text(encoding="utf-8").splitlines()) if ledger.is_file() else set()
        for n, record in enumerate(records, 1):
            if not isinstance(record, PhaseRecord) or f"{record.phase} {record.round}" in shown:
                continue
            if added := curves(self._folder, records[:n]):
                images = {
                    name: wandb.Image(Image.open(BytesIO(png(figure))))
                    for name, figure in pictures(self._folder, records[:n]).items()
                }
                self._log(run, {"round": record.round} | added | images)
                with ledger.open("a", encoding="utf-8") as file:
                    file.write(f"{record.phase} {record.round}\n")

    def _give_up(self, error: Exception) -> None:
        _log.warning("W&B failed (%s). The race goes on without it; its records are complete", first_line(error))
        self._run = None


def _define_axes(run: "Run") -> None:
    run.define_metric("round", hidden=True)
    for name in OVER_ROUNDS:
        run.define_metric(name, step_metric="round")
