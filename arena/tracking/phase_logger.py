"""Log the training of one phase to W&B through Lightning."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pytorch_lightning.loggers import WandbLogger

if TYPE_CHECKING:
    from wandb import Run


class PhaseLogger(WandbLogger):
    """Lightning's W&B logger for the Trainer of one phase.

    Each Trainer counts its steps from zero. A phase therefore has a prefix of its own, and its curves run over the
    metric ``images`` (real images shown), which its LightningModule logs beside its losses.
    """

    def __init__(self, log: Callable[[Mapping[str, object]], None], run: "Run", phase: str) -> None:
        super().__init__(experiment=run, prefix=phase)
        self._log, self._phase = log, phase
        run.define_metric(f"{phase}/images", hidden=True)
        run.define_metric(f"{phase}/*", step_metric=f"{phase}/images")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the metrics of a step without ``step`` itself, which restarts with every phase."""
        self._log({f"{self._phase}/{name}": value for name, value in metrics.items() if name != "epoch"})

    def log_hyperparams(self, params: object, *_: object) -> None:
        """Do nothing: the settings of the run were given at its start."""

    def finalize(self, status: str) -> None:
        """Do nothing: the W&B run continues after the phase."""
