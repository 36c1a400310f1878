"""The W&B run of a race, from its start to its end."""

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from PIL import Image

from arena.errors import ArenaError, first_line
from arena.figures.style import png
from arena.records import PhaseRecord, Record, read_records
from arena.tracking.outcome import Artifacts, show_outcome
from arena.tracking.phase_logger import PhaseLogger
from arena.tracking.rounds import OVER_ROUNDS, curves, pictures

if TYPE_CHECKING:
    from wandb import Run

Mode = Literal["offline", "online", "none"]

INIT_TIMEOUT, LOGIN_TIMEOUT, FINISH_TIMEOUT = 15, 5, 60
"""Seconds a race waits for W&B: to begin, to log in, and to send what is left at the end."""
NAME, TAG = 128, 64
"""Most characters W&B takes for a name or a group, and for a tag."""

_log = logging.getLogger(__name__)


class Labels(NamedTuple):
    """By what runs are found and set side by side: a sweep is a group, a job type the condition."""

    name: str
    group: str
    job_type: str
    tags: Sequence[str]


class Tracker:
    """The W&B run of a race.

    Whatever W&B does, the race goes on: an online run that cannot begin is kept offline, and any later failure ends the
    tracking. Both are said once, as a warning. No key is ever asked for on the terminal, and W&B is never waited for
    longer than the timeouts of this module.

    Args:
        mode: offline, online, or none, which does not even import W&B.
        project: on W&B.
        entity: user or team on W&B, None for the default one.
        artifacts: kept at the end: all (report, records with scores, the last round's checkpoints), report, or none.

    Raises:
        ArenaError: for another mode, or other artifacts.
    """

    def __init__(self, *, mode: Mode, project: str, entity: str | None, artifacts: Artifacts) -> None:
        if mode not in get_args(Mode):
            raise ArenaError(f"logger.mode={mode}: expected offline, online or none")
        if artifacts not in get_args(Artifacts):
            raise ArenaError(f"logger.artifacts={artifacts}: expected all, report or none")
        self.mode: Mode = mode
        self.project, self.entity = project, entity
        self.artifacts: Artifacts = artifacts
        self._run: Run | None = None
        self._folder = Path()

    def start(self, run: Path, *, settings: Mapping[str, object], labels: Labels) -> None:
        """Begin the W&B run, or go on with the one this run directory began before.

        Args:
            run: the run directory; W&B's files go to ``run/wandb``.
            settings: the resolved config, shown on W&B.
            labels: what it is called and grouped by.
        """
        if self.mode == "none":
            return
        self._folder = run
        try:
            self._run = self._begin(self.mode, run, settings, labels)
        except Exception as error:
            if self.mode == "offline":
                self._give_up(error)
                return
            _log.warning(
                "W&B cannot be reached (%s); the race goes on, offline: `wandb sync` it later", first_line(error)
            )
            try:
                self._run = self._begin("offline", run, settings, labels)
            except Exception as again:
                self._give_up(again)
        self.attempt(_define_axes)

    def logger(self, phase: str) -> PhaseLogger | Literal[False]:
        """The ``logger`` of a phase's Trainer; False, Lightning's word for none, where nothing is tracked.

        Args:
            phase: the prefix of its metrics, such as ``"round_03/respond"``.
        """
        loggers: list[PhaseLogger] = []
        self.attempt(lambda run: loggers.append(PhaseLogger(self.attempt, run, phase)))
        return loggers[0] if loggers else False

    def records(self, records: Sequence[Record]) -> None:
        """Show what the phases of these records add that no earlier call, and no earlier start, has shown.

        Args:
            records: all of the race so far, whose last one closes a phase.
        """
        self.attempt(lambda run: self._show(run, records))

    def finish(self, run: Path) -> None:
        """Show the figures, the table of scores and the verdict, keep the artifacts, and end the W&B run.

        Args:
            run: the run directory, its figures drawn, its verdict and its report written.
        """
        self.attempt(lambda tracked: self._show(tracked, read_records(run)))
        self.attempt(lambda tracked: show_outcome(tracked, run, self.artifacts))
        self.attempt(lambda tracked: tracked.finish(exit_code=0))
        self._run = None

    def close(self) -> None:
        """End, as failed, the W&B run of a race that stopped before its end; after ``finish`` nothing is left to do."""
        self.attempt(lambda tracked: tracked.finish(exit_code=1))
        self._run = None

    def attempt(self, act: Callable[["Run"], object]) -> None:
        """Do something to the W&B run, if there still is one; should it fail, there is none from here on."""
        if self._run is not None:
            try:
                act(self._run)
            except Exception as error:
                self._give_up(error)

    def _show(self, tracked: "Run", records: Sequence[Record]) -> None:
        """A phase is noted in ``wandb/shown`` once it is shown: so a race that goes on shows none twice.

        One that was closed and not shown, such as under ``logger=none``, is shown later from its records.
        """
        import wandb

        ledger = self._folder / "wandb" / "shown"
        shown = set(ledger.read_text(encoding="utf-8").splitlines()) if ledger.is_file() else set()
        for n, record in enumerate(records, 1):
            if not isinstance(record, PhaseRecord) or (its := f"{record.phase} {record.round}") in shown:
                continue
            if added := curves(self._folder, records[:n]):
                images = {
                    name: wandb.Image(Image.open(BytesIO(png(figure))))
                    for name, figure in pictures(self._folder, records[:n]).items()
                }
                tracked.log({"round": record.round} | added | images)
                with ledger.open("a", encoding="utf-8") as file:
                    file.write(f"{its}\n")

    def _begin(self, mode: Mode, run: Path, settings: Mapping[str, object], labels: Labels) -> "Run":
        import wandb

        wandb.setup(settings=wandb.Settings(silent=True))
        if mode == "online" and not wandb.login(prompt=False, timeout=LOGIN_TIMEOUT):
            raise ConnectionError("no API key: `wandb login` stores one")
        return wandb.init(
            mode="online" if mode == "online" else "offline",
            project=self.project,
            entity=self.entity,
            dir=run,
            id=_run_id(run),
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

    def _give_up(self, error: Exception) -> None:
        _log.warning("W&B failed (%s); the race goes on without it, its records are complete", first_line(error))
        self._run = None


def _run_id(run: Path) -> str:
    """The id of the W&B run, drawn once a run directory."""
    path = run / "wandb" / "id"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(4), encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


def _define_axes(run: "Run") -> None:
    """What the records say runs over the rounds."""
    run.define_metric("round", hidden=True)
    for name in OVER_ROUNDS:
        run.define_metric(name, step_metric="round")
