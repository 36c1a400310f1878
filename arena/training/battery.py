"""Train the battery: one stream of balanced batches for all detectors, with early stopping for each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from arena.config.schema import BatteryConfig
from arena.core.machine import parallel_map
from arena.core.progress import Progress
from arena.core.seeding import derive_seed
from arena.detectors.base import Detector, FittedDetector, LearnedDetector
from arena.detectors.gallery import Gallery, Labelled, score_all
from arena.detectors.heads import Sample
from arena.detectors.shared import GRID, sharing
from arena.metrics.auc import auc
from arena.training.machine import Machine

VALIDATIONS, SPACING = 20, 4
"""Validations in a whole budget. A small budget has fewer, at least ``SPACING`` steps apart."""
LEARNING_COST = 3
"""Cost of learning from an image, in forward passes: a backward pass costs two forward passes."""
PREPARED, PREPARED_VALUES = 2048, 1 << 26
"""Largest number of images, and of values in them, that a detector is prepared with before its first step."""


def train_battery(
    detectors: Mapping[str, Detector],
    gallery: Gallery,
    train: Labelled,
    validation: Labelled,
    *,
    settings: BatteryConfig,
    images: int,
    fresh: bool,
    seed: int,
    machine: Machine,
    progress: Progress | None = None,
    logger: Logger | Literal[False] = False,
) -> int:
    """Train fitted and gradient-trained detectors in place, within their budget.

    Args:
        detectors: by technique; new if ``fresh``, otherwise as left by an earlier round.
        gallery: all images.
        train: images to learn from. A fitted technique without need of fakes gets the reals alone, here and below.
        validation: images for early stopping.
        settings: batch, learning rate, patience.
        images: budget of a detector trained by gradient. A fitted detector sees each example once.
        fresh: whether detectors first have to be prepared with some of the training images.
        seed: of all randomness.
        machine: device and precision.
        progress: advances with every step.
        logger: of the phase.

    Returns:
        The number of images in the batches shown.
    """
    gallery.measure(detectors)
    learned: dict[str, LearnedDetector] = {}
    for name, detector in detectors.items():
        match detector:
            case FittedDetector():
                samples = []
                for which, labels in (train, validation):
                    if not detector.needs_fakes:
                        which, labels = which[labels == 0], labels[labels == 0]
                    samples.append(Sample(gallery.features(name, which), labels))
                detector.fit(*samples, seed=derive_seed(seed, "fit", player=name))
            case LearnedDetector():
                learned[name] = detector
            case _:
                raise TypeError(f"{type(detector).__name__} is neither a LearnedDetector nor a FittedDetector")
    if not learned:
        return 0
    for detector in learned.values() if fresh else ():
        _prepare(detector, gallery, train, seed)
    for detector in learned.values():
        detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = images // settings.batch
    large = any(detector.side < detector.resolution for detector in learned.values())
    validation_cost = len(validation.which) * (GRID**2 if large else 1)  # validation covers large images with crops
    most = min(VALIDATIONS, steps // SPACING, int(images * LEARNING_COST / validation_cost))
    taken = machine.fit(
        BatteryTraining(learned, gallery, train, validation, settings, seed),
        range(steps),
        validate_every=max(1, steps // max(1, most)),
        callbacks=[] if progress is None else [progress.callback(settings.batch)],
        logger=logger,
    )
    for detector in learned.values():  # the layout of a loaded detector, so that both give the same scores to the bit
        detector.to(gallery.device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return taken * settings.batch


def _prepare(detector: LearnedDetector, gallery: Gallery, train: Labelled, seed: int) -> None:
    """Prepare a detector with a random sample of the training images, cropped as in training."""
    rng = torch.Generator().manual_seed(derive_seed(seed, "prepare"))
    most = min(PREPARED, PREPARED_VALUES // (detector.channels * detector.side**2))
    which = train.which[torch.randperm(len(train.which), generator=rng)[:most]]
    detector.to(gallery.device)
    detector.prepare(gallery.crops(which, detector.side, torch.rand(len(which), 2, generator=rng)))


@dataclass
class EarlyStopState:
    """State of one detector: its best validation so far, the number of validations since, and its last loss."""

    best_auc: float = -math.inf
    best_state: dict[str, Tensor] = field(default_factory=dict)
    waited: int = 0
    loss: Tensor = field(default_factory=lambda: torch.zeros(()))


class BatteryTraining(pl.LightningModule):
    """Train all gradient-trained detectors on one stream of batches, half reals and half fakes.

    Their parameters are disjoint, so minimising each loss minimises the sum. Each detector runs backward right after
    its forward pass, which frees its activations. The result of a detector does not depend on the others, up to the
    floating-point order described in ``parallel_map``. Each ends in the state of its highest validation AUC.
    """

    def __init__(
        self,
        detectors: Mapping[str, LearnedDetector],
        gallery: Gallery,
        train: Labelled,
        validation: Labelled,
        settings: BatteryConfig,
        seed: int,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.detectors = nn.ModuleDict(detectors)
        self.gallery, self.validation_set, self.settings, self.seed = gallery, validation, settings, seed
        self.reals, self.fakes = (train.which[train.labels == label] for label in (0, 1))
        self.halves = (settings.batch - settings.batch // 2, settings.batch // 2)
        self.labels = torch.tensor([0.0, 1.0]).repeat_interleave(torch.tensor(self.halves))
        self.states = {name: EarlyStopState() for name in detectors}

    @property
    def learning(self) -> dict[str, LearnedDetector]:
        """Detectors that have not been stopped."""
        return {
            name: cast(LearnedDetector, self.detectors[name])
            for name, state in self.states.items()
            if state.waited < self.settings.patience
        }

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW (Loshchilov & Hutter 2019) with a one-cycle learning rate (Smith & Topin 2019).

        At a constant rate the validation loss of a young network is so noisy that it stops too early for a judge.
        """
        groups = []
        for detector in self.learning.values():
            trained = [parameter for parameter in detector.parameters() if parameter.requires_grad]
            groups.append({"params": trained, "lr": detector.learning_rate or self.settings.learning_rate})
        optimizer = torch.optim.AdamW(groups, weight_decay=1e-2, fused=True)
        steps = max(int(self.trainer.estimated_stepping_batches), 2)
        rates = [group["lr"] for group in groups]
        return [optimizer], [torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)]

    def training_step(self, step: int) -> None:
        """Take one step of every detector that has not been stopped."""
        rng = torch.Generator().manual_seed(derive_seed(self.seed, "batch", step))
        drawn = torch.cat(
            [
                which[torch.randint(len(which), (n,), generator=rng)]
                for which, n in zip((self.reals, self.fakes), self.halves, strict=True)
            ]
        )
        at = torch.rand(len(drawn), 2, generator=rng)
        learning, labels = self.learning, self.labels.to(self.device)
        crops = {
            side: self.gallery.crops(drawn, side, at).contiguous(memory_format=torch.channels_last)
            for side in {detector.side for detector in learning.values()}
        }

        def learn(name: str) -> None:
            """Run one detector forward and backward. Lightning's own backward does not support several threads."""
            detector = learning[name]
            stream = derive_seed(self.seed, "augment", step, name)
            images = detector.augmented(crops[detector.side], torch.Generator().manual_seed(stream))
            with torch.random.fork_rng([self.device] if self.device.type == "cuda" else [], enabled=detector.draws):
                if detector.draws:
                    torch.manual_seed(stream)
                loss = detector.loss(images, labels)
                loss.backward()
            self.states[name].loss = loss.detach()

        with sharing(*crops.values()):
            parallel_map(learn, [name for name, detector in learning.items() if not detector.draws], self.device)
            for name, detector in learning.items():
                if detector.draws:
                    learn(name)
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        optimizer.step()
        optimizer.zero_grad()
        cast(torch.optim.lr_scheduler.OneCycleLR, self.lr_schedulers()).step()

    def validation_step(self, step: int) -> None:
        """Compute the AUC of each detector over all validation images, in eval mode and full precision.

        Judges are judged by AUC. The log loss of an overconfident network rises while its ranking still improves.
        Stopping by the loss leaves judges of hard fakes near chance, depending on the seed.
        """
        learning = self.learning
        logits = score_all(learning, self.gallery, self.validation_set.which)
        for name, detector in learning.items():
            state = self.states[name]
            validation_auc = auc(logits[name].numpy(), self.validation_set.labels.numpy())
            state.waited += 1
            if validation_auc > state.best_auc:
                state.best_auc, state.waited = validation_auc, 0
                state.best_state = {key: value.clone() for key, value in detector.state_dict().items()}
            if self.logger:
                shown = {f"{name}/loss": float(state.loss), f"{name}/validation_auc": validation_auc}
                self.logger.log_metrics(shown | {"images": float(self.global_step * self.settings.batch)})
        self.trainer.should_stop = not self.learning

    def on_fit_end(self) -> None:
        """Restore the best state of each detector."""
        for name, state in self.states.items():
            if state.best_state:
                self.detectors[name].load_state_dict(state.best_state)
