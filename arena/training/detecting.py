"""How a gradient-trained detector learns: balanced batches, stopped on validation, the best state kept."""

import math
from typing import Literal

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from arena.config import BatteryConfig
from arena.detectors.detector import Detector, Examples, FittedDetector, LearnedDetector
from arena.detectors.scoring import score
from arena.evidence import Evidence
from arena.images import to_float
from arena.metrics.roc import auc
from arena.progress import Progress
from arena.seeding import derive_seed
from arena.training.trainer import Machine, ticks

VALIDATIONS = 20
"""In a whole budget; in a small one fewer, ``SPACING`` steps apart: looking must not cost more than learning."""
SPACING = 4


class DetectorTraining(pl.LightningModule):
    """Cross-entropy on batches of as many reals as fakes, each drawn by a stream of its own step.

    Args:
        detector: trained in place; it ends in the state whose validation AUC was highest.
        train: examples.
        validation: examples it is stopped on.
        evidence: the path down which all images come.
        batch: images a step, half of them real.
        learning_rate: the cycle's highest.
        seed: of the batches.
    """

    def __init__(
        self,
        detector: LearnedDetector,
        train: Examples,
        validation: Examples,
        evidence: Evidence,
        batch: int,
        learning_rate: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.detector, self.train_set, self.validation_set = detector, train, validation
        self.evidence, self.batch, self.learning_rate, self.seed = evidence, batch, learning_rate, seed
        self.reals, self.fakes = (torch.nonzero(train.labels == label).squeeze(1) for label in (0, 1))
        self.labels = torch.cat([torch.zeros(batch - batch // 2), torch.ones(batch // 2)])
        self.best_auc, self.best_state = -math.inf, dict[str, Tensor]()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW (Loshchilov & Hutter 2019) over one cycle of the learning rate (Smith & Topin 2019).

        At a constant rate the validation loss of a young network is so ragged that it stops weak; a judge must not.
        """
        optimizer = torch.optim.AdamW(self.detector.parameters(), lr=self.learning_rate, weight_decay=1e-2)
        steps = int(self.trainer.estimated_stepping_batches)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=max(steps, 2))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def training_step(self, step: int) -> Tensor:
        """Cross-entropy of one batch."""
        rng = torch.Generator().manual_seed(derive_seed(self.seed, "batch", step))
        halves = ((self.reals, self.batch - self.batch // 2), (self.fakes, self.batch // 2))
        index = torch.cat([which[torch.randint(len(which), (n,), generator=rng)] for which, n in halves])
        images = self.evidence(to_float(self.train_set.images[index].to(self.device)))
        logits = self.detector(images.contiguous(memory_format=torch.channels_last))
        loss = F.binary_cross_entropy_with_logits(logits.float(), self.labels.to(self.device))
        self.log_dict({"loss": loss, "images": float((step + 1) * self.batch)})
        return loss

    def validation_step(self, step: int) -> None:
        """AUC over all validation images, in eval mode and full precision.

        It is AUC a judge is judged by. The log loss of a network that ranks well but is too sure of itself rises while
        its ranking still improves: stopped by that, judges of hard fakes stay near chance by an accident of their seed.
        """
        logits = score(self.detector, self.validation_set.images, self.evidence)
        found = auc(logits.numpy(), self.validation_set.labels.numpy())
        self.log("validation_auc", found, batch_size=1)
        if found > self.best_auc:
            self.best_auc = found
            self.best_state = {name: value.clone() for name, value in self.detector.state_dict().items()}

    def on_fit_end(self) -> None:
        """Back to the best state."""
        if self.best_state:
            self.detector.load_state_dict(self.best_state)


def train_detector(
    detector: Detector,
    train: Examples,
    validation: Examples,
    *,
    evidence: Evidence,
    settings: BatteryConfig,
    images: int,
    fresh: bool,
    seed: int,
    machine: Machine,
    progress: Progress | None = None,
    logger: Logger | Literal[False] = False,
) -> int:
    """Train a detector of either kind in place, within its budget, and say how many images it was shown.

    Args:
        detector: new or, unless ``fresh``, as an earlier round left it.
        train: examples to learn from.
        validation: examples to stop on.
        evidence: the path down which all images come.
        settings: batch, learning rate, patience.
        images: most images shown to a detector that learns by gradient; a fitted one sees each example once.
        fresh: whether ``prepare`` must look at the data first.
        seed: of all that is random.
        machine: device and precision.
        progress: is told of every step.
        logger: of the phase.
    """
    match detector:
        case FittedDetector():
            down = [evidence(to_float(examples.images)) for examples in (train, validation)]
            detector.fit(down[0], train, (down[1], validation), seed)
            return len(train.labels)
        case LearnedDetector():
            if fresh:
                detector.prepare(evidence(to_float(train.images)))
            detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            steps = images // settings.batch
            every = max(1, steps // max(1, min(VALIDATIONS, steps // SPACING)))
            module = DetectorTraining(
                detector, train, validation, evidence, settings.batch, settings.learning_rate, seed
            )
            patience = EarlyStopping(
                "validation_auc", mode="max", patience=settings.patience, check_on_train_epoch_end=False
            )
            shown = [] if progress is None else [progress.callback(settings.batch)]
            taken = machine.fit(
                module,
                ticks(0, steps),
                ticks(0, 1),
                callbacks=[patience, *shown],
                logger=logger,
                validate_every=every,
            )
            # As a saved one is loaded, so that both score alike to the last bit.
            detector.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            return taken * settings.batch
    raise TypeError(f"{type(detector).__name__} is neither a LearnedDetector nor a FittedDetector")
