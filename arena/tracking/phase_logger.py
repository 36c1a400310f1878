"""The training curves of one phase."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pytorch_lightning.loggers import WandbLogger

if TYPE_CHECKING:
    from wandb import Run

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
