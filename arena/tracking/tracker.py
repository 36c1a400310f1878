"""Show a race on Weights & Biases: start, phases, records and outcome."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from wandb import Run
from collections.abc import Callable
from typing import TYPE_CHECKING

from pytorch_lightning.loggers import WandbLogger

if TYPE_CHECKING:
    from wandb import Run
import logging
from io import BytesIO
from typing import TYPE_CHECKING, get_args

from PIL import Image

from arena.answer.answer import Answer
from arena.core.errors import ArenaError, first_line
from arena.figures.axes import png
from arena.records.schema import PhaseRecord, Record
from arena.tracking.outcome import Artifacts, show_outcome
from arena.tracking.rounds import OVER_ROUNDS, curves, pictures

if TYPE_CHECKING:
    from wandb import Run


Mode = Literal["offline", "online", "none"]

INIT_TIMEOUT, LOGIN_TIMEOUT, FINISH_TIMEOUT = 15, 5, 60
"""Seconds a race waits for W&B: to begin, to log in, and to send what is left at the end."""
NAME, TAG = 128, 64
"""Most characters W&B takes for a name or a group, and for a tag."""


class Labels(NamedTuple):
    """By what runs are found and set side by side: a sweep is a group, a job type the condition."""

    name: str
    group: str
    job_type: str
    tags: Sequence[str]


def begin(
    mode: Literal["offline", "online"],
    run: Path,
    project: str,
    entity: str | None,
    settings: Mapping[str, object],
    labels: Labels,
) -> "Run":
    """Begin the W&B run of a run directory, always of the same id.

    Args:
        mode: offline, or online.
        run: the run directory; W&B's files go to ``run/wandb``.
        project: on W&B.
        entity: user or team on W&B, None for the default one.
        settings: the resolved config, shown on W&B.
        labels: what it is called and grouped by.

    Raises:
        ConnectionError: where there is no key. W&B raises what it likes besides.
    """
    import wandb

    wandb.setup(settings=wandb.Settings(silent=True))
    if mode == "online" and not wandb.login(prompt=False, timeout=LOGIN_TIMEOUT):
        raise ConnectionError("no API key: `wandb login` stores one")
    return wandb.init(
        mode=mode,
        project=project,
        entity=entity,
        dir=run,
        id=_identity(run),
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


def _identity(run: Path) -> str:
    """The id of the W&B run, drawn once a run directory."""
    path = run / "wandb" / "id"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(4), encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


Log = Callable[[Mapping[str, object]], None]
"""Logs a row of metrics, and keeps to itself that it failed."""


class PhaseLogger(WandbLogger):
    """Lightning's W&B logger for the Trainer of one phase.

    A fresh Trainer counts its steps from zero again, so a phase has a prefix of its own and its curves run over the
    metric ``images`` (real images shown), which its LightningModule logs beside its losses.
    """

    def __init__(self, log: Log, run: "Run", phase: str) -> None:
        super().__init__(experiment=run, prefix=phase)
        self._log, self._phase = log, phase
        run.define_metric(f"{phase}/images", hidden=True)
        run.define_metric(f"{phase}/*", step_metric=f"{phase}/images")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the metrics of a step; ``step`` itself, which restarts with every phase, is left out."""
        self._log({f"{self._phase}/{name}": value for name, value in metrics.items() if name != "epoch"})

    def log_hyperparams(self, params: object, *_: object) -> None:
        """Nothing: the run's settings were given when it began."""

    def finalize(self, status: str) -> None:
        """Nothing: the run goes on after the phase, and keeps its own checkpoints."""


_log = logging.getLogger(__name__)


class Tracker:
    """The W&B run of a race.

    Whatever W&B does, the race goes on: an online run that cannot begin is kept offline, and any later failure ends the
    tracking. Both are said once, as a warning. No key is ever asked for on the terminal, and W&B is never waited for
    longer than the timeouts of ``arena.tracking.tracker``.

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
            self._run = begin(self.mode, run, self.project, self.entity, settings, labels)
        except Exception as error:
            if self.mode == "offline":
                self._give_up(error)
                return
            _log.warning(
                "W&B cannot be reached (%s); the race goes on, offline: `wandb sync` it later", first_line(error)
            )
            try:
                self._run = begin("offline", run, self.project, self.entity, settings, labels)
            except Exception as again:
                self._give_up(again)
        self.attempt(_define_axes)
        self.attempt(self._go_on)

    def logger(self, phase: str) -> PhaseLogger | Literal[False]:
        """The ``logger`` of a phase's Trainer; False, Lightning's word for none, where nothing is tracked.

        Args:
            phase: the prefix of its metrics, such as ``"round_03/respond"``.
        """
        loggers: list[PhaseLogger] = []
        self.attempt(lambda run: loggers.append(PhaseLogger(self.log, run, phase)))
        return loggers[0] if loggers else False

    def log(self, row: Mapping[str, object]) -> None:
        """Log a row of metrics."""
        self.attempt(lambda run: self._log(run, row))

    def records(self, records: Sequence[Record]) -> None:
        """Show what the phases of these records add that no earlier call, and no earlier start, has shown.

        Args:
            records: all of the race so far, whose last one closes a phase.
        """
        self.attempt(lambda run: self._show(run, records))

    def finish(self, answer: Answer) -> None:
        """Show the figures, the table of scores and the verdict, keep the artifacts, and end the W&B run.

        Args:
            answer: of the run, its figures drawn, its verdict and its report written.
        """
        self.attempt(lambda tracked: self._show(tracked, answer.run.records))
        self.attempt(lambda tracked: show_outcome(tracked, answer, self.artifacts))
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

    def _log(self, tracked: "Run", row: Mapping[str, object]) -> None:
        """The next step is noted in ``wandb/step``: a run that goes on offline is told by nobody else where it was."""
        tracked.log(dict(row))
        (self._folder / "wandb" / "step").write_text(str(tracked.step), encoding="utf-8")

    def _go_on(self, tracked: "Run") -> None:
        """Count the steps of an offline run on from where it was, or ``wandb sync`` would have two rows to a step."""
        step = self._folder / "wandb" / "step"
        if tracked.offline and step.is_file():
            tracked.log({}, step=int(step.read_text(encoding="utf-8")))

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
                self._log(tracked, {"round": record.round} | added | images)
                with ledger.open("a", encoding="utf-8") as file:
                    file.write(f"{its}\n")

    def _give_up(self, error: Exception) -> None:
        _log.warning("W&B failed (%s); the race goes on without it, its records are complete", first_line(error))
        self._run = None


def _define_axes(run: "Run") -> None:
    """What the records say runs over the rounds."""
    run.define_metric("round", hidden=True)
    for name in OVER_ROUNDS:
        run.define_metric(name, step_metric="round")
