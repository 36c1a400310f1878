"""Show a race on Weights & Biases: start, phases, records and outcome."""

import logging
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

if TYPE_CHECKING:
    from wandb import Run

    from arena.tracking.phase_logger import PhaseLogger

Mode = Literal["offline", "online", "none"]

INIT_TIMEOUT, LOGIN_TIMEOUT, FINISH_TIMEOUT = 15, 5, 60
"""Seconds a race waits for W&B: to start, to log in, and to send the rest at the end."""
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

    The race goes on if W&B fails: an online run that cannot start is kept offline, and a later failure ends the
    tracking. Either gives one warning. The terminal never asks for a key, and each wait for W&B has a time limit.

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
        modes: tuple[Literal["offline", "online"], ...] = (
            ("online", "offline") if self.mode == "online" else ("offline",)
        )
        for mode in modes:
            try:
                self._run = self._begin(mode, settings, labels)
                break
            except Exception as error:
                if mode == "offline":
                    self._give_up(error)
                else:
                    _log.warning(
                        "W&B cannot be reached (%s). The race goes on offline: `wandb sync` uploads it later",
                        first_line(error),
                    )
        self.attempt(_define_axes)
        self.attempt(self._continue_steps)

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

    def finish(self, answer: Answer) -> None:
        """Show the outcome of a race whose figures, verdict and report are written, and end the W&B run."""
        self.attempt(lambda run: self._show(run, answer.run.records))
        self.attempt(lambda run: show_outcome(run, answer, self.artifacts))
        self.attempt(lambda run: run.finish(exit_code=0))
        self._run = None

    def close(self) -> None:
        """End the W&B run of a race that stopped early, as failed; after ``finish`` this does nothing."""
        self.attempt(lambda run: run.finish(exit_code=1))
        self._run = None

    def attempt(self, act: Callable[["Run"], object]) -> None:
        """Apply ``act`` to the W&B run, if there is one; a failure ends the tracking."""
        if self._run is not None:
            try:
                act(self._run)
            except Exception as error:
                self._give_up(error)

    def _begin(self, mode: Literal["offline", "online"], settings: Mapping[str, object], labels: Labels) -> "Run":
        """Start the W&B run of the run directory, whose id is drawn once.

        Raises:
            ConnectionError: without an API key. W&B raises errors of other types besides.
        """
        import wandb

        wandb.setup(settings=wandb.Settings(silent=True))
        if mode == "online" and not wandb.login(prompt=False, timeout=LOGIN_TIMEOUT):
            raise ConnectionError("no API key: `wandb login` stores one")
        identity = self._folder / "wandb" / "id"
        if not identity.is_file():
            identity.parent.mkdir(parents=True, exist_ok=True)
            identity.write_text(secrets.token_hex(4), encoding="utf-8")
        return wandb.init(
            mode=mode,
            project=self.project,
            entity=self.entity,
            dir=self._folder,
            id=identity.read_text(encoding="utf-8").strip(),
            name=labels.name[:NAME],
            group=labels.group[:NAME],
            job_type=labels.job_type,
            tags=[tag[:TAG] for tag in labels.tags],
            config=dict(settings),
            resume="allow" if mode == "online" else None,
            reinit="finish_previous",
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                x_disable_stats=True,
                init_timeout=INIT_TIMEOUT,
                login_timeout=LOGIN_TIMEOUT,
                finish_timeout=FINISH_TIMEOUT,
            ),
        )

    def _log(self, run: "Run", row: Mapping[str, object]) -> None:
        """Log a row and write the next step to ``wandb/step``, which W&B does not keep for an offline run."""
        run.log(dict(row))
        (self._folder / "wandb" / "step").write_text(str(run.step), encoding="utf-8")

    def _continue_steps(self, run: "Run") -> None:
        """Continue the steps of an earlier offline run, so that ``wandb sync`` has one row a step."""
        step = self._folder / "wandb" / "step"
        if run.offline and step.is_file():
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
