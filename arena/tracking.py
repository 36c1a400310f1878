"""Weights & Biases as a view of the records: never the source of anything, never the reason a race stops."""

import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from pytorch_lightning.loggers import WandbLogger

from arena.errors import ArenaError, first_line
from arena.figures.series import on_timeline, read_series, score_records, techniques
from arena.figures.style import REGIMES
from arena.figures.tables import scores_table
from arena.records import PhaseRecord, QualityRecord, Record, read_records

if TYPE_CHECKING:
    from wandb import Run

Mode = Literal["offline", "online", "none"]

INIT_TIMEOUT, LOGIN_TIMEOUT, FINISH_TIMEOUT = 15, 5, 60
"""Seconds a race waits for W&B: to begin, to log in, and to send what is left at the end."""

_log = logging.getLogger(__name__)


class PhaseLogger(WandbLogger):
    """Lightning's W&B logger for the Trainer of one phase.

    A fresh Trainer counts its steps from zero again, so a phase has a prefix of its own and its curves run over the
    metric ``images`` (real images shown), which its LightningModule logs beside its losses.
    """

    def __init__(self, tracker: "Tracker", run: "Run", phase: str) -> None:
        super().__init__(experiment=run, prefix=phase)
        self._tracker, self._phase = tracker, phase
        run.define_metric(f"{phase}/images", hidden=True)
        run.define_metric(f"{phase}/*", step_metric=f"{phase}/images")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the metrics of a step; ``step`` itself, which restarts with every phase, is left out."""
        named = {f"{self._phase}/{name}": value for name, value in metrics.items() if name != "epoch"}
        self._tracker.attempt(lambda run: run.log(named))

    def log_hyperparams(self, params: object, *_: object) -> None:
        """Nothing: the run's settings were given when it began."""

    def finalize(self, status: str) -> None:
        """Nothing: the run goes on after the phase, and keeps its own checkpoints."""


class Tracker:
    """The W&B run of a race.

    Whatever W&B does, the race goes on: an online run that cannot begin is kept offline, and any later failure ends the
    tracking. Both are said once, as a warning. No key is ever asked for on the terminal, and W&B is never waited for
    longer than the timeouts of this module.

    Args:
        mode: offline, online, or none, which does not even import W&B.
        project: on W&B.
        entity: user or team on W&B, None for the default one.

    Raises:
        ArenaError: for another mode.
    """

    def __init__(self, *, mode: Mode, project: str, entity: str | None) -> None:
        if mode not in ("offline", "online", "none"):
            raise ArenaError(f"logger.mode={mode}: expected offline, online or none")
        self.mode: Mode = mode
        self.project, self.entity = project, entity
        self._run: Run | None = None

    def start(self, run: Path, *, settings: Mapping[str, object], group: str, tags: Sequence[str]) -> None:
        """Begin the W&B run, or go on with the one this run directory began before.

        Args:
            run: the run directory; W&B's files go to ``run/wandb``.
            settings: the resolved config, shown on W&B.
            group: the experiment's name.
            tags: the condition, such as the access.
        """
        if self.mode == "none":
            return
        try:
            self._run = self._begin(self.mode, run, settings, group, tags)
        except Exception as error:
            if self.mode == "offline":
                self._give_up(error)
                return
            _log.warning(
                "W&B cannot be reached (%s); the race goes on, offline: `wandb sync` it later", first_line(error)
            )
            try:
                self._run = self._begin("offline", run, settings, group, tags)
            except Exception as again:
                self._give_up(again)
        self.attempt(_define_axes)

    def logger(self, phase: str) -> PhaseLogger | Literal[False]:
        """The ``logger`` of a phase's Trainer; False, Lightning's word for none, where nothing is tracked.

        Args:
            phase: the prefix of its metrics, such as ``"round_03/respond"``.
        """
        loggers: list[PhaseLogger] = []
        self.attempt(lambda run: loggers.append(PhaseLogger(self, run, phase)))
        return loggers[0] if loggers else False

    def records(self, records: Sequence[Record]) -> None:
        """Show the records of a finished phase or round over the rounds: AUCs, quality, seconds."""
        steps = _over_rounds(records)
        self.attempt(lambda run: [run.log({"round": round} | values) for round, values in sorted(steps.items())])

    def finish(self, run: Path) -> None:
        """Show the figures, the table of scores and the verdict, and end the W&B run.

        Args:
            run: the run directory, its figures drawn and its verdict written.
        """
        self.attempt(lambda tracked: _show_outcome(tracked, run))
        self.close()

    def close(self) -> None:
        """End the W&B run, whatever became of the race; called again, it does nothing."""
        self.attempt(lambda run: run.finish())
        self._run = None

    def attempt(self, act: Callable[["Run"], object]) -> None:
        """Do something to the W&B run, if there still is one; should it fail, there is none from here on."""
        if self._run is not None:
            try:
                act(self._run)
            except Exception as error:
                self._give_up(error)

    def _begin(
        self,
        mode: Mode,
        run: Path,
        settings: Mapping[str, object],
        group: str,
        tags: Sequence[str],
    ) -> "Run":
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
            name=run.name,
            group=group,
            tags=list(tags),
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
    for family in ("auc", "quality", "seconds"):
        run.define_metric(f"{family}/*", step_metric="round")


def _over_rounds(records: Sequence[Record]) -> dict[int, dict[str, float]]:
    """What W&B shows of these records: round -> metric -> value; of several judge seeds the mean."""
    steps: dict[int, dict[str, float]] = {}
    for round in {record.generator_round for record in score_records(records)}:
        for name, regime in product(techniques(records), REGIMES):
            aucs = [record.auc for record in on_timeline(records, name, regime, round)]
            if aucs:
                steps.setdefault(round, {})[f"auc/{regime}/{name}"] = fmean(aucs)
    for record in records:
        if isinstance(record, QualityRecord):
            neighbours = ("precision", "recall", "density", "coverage")
            for key in ("kernel_distance", "frechet_distance", *neighbours, "memorisation"):
                if (value := getattr(record, key)) is not None:
                    steps.setdefault(record.round, {})[f"quality/{key}"] = value
        elif isinstance(record, PhaseRecord):
            key = "/".join(filter(None, ("seconds", record.phase, record.player)))
            steps.setdefault(record.round, {})[key] = record.seconds
    return steps


def _show_outcome(tracked: "Run", run: Path) -> None:
    import wandb

    header, *rows = scores_table(read_series(run, read_records(run)))
    shown: dict[str, object] = {"scores": wandb.Table(columns=[*header], data=[[*row] for row in rows])}
    shown |= {f"figures/{path.stem}": wandb.Image(str(path)) for path in sorted((run / "figures").glob("*.png"))}
    tracked.log(shown)
    tracked.summary["verdict"] = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
