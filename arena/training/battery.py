"""How the battery learns: one stream of balanced batches for all, each detector stopped on its own validation."""

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
from arena.core.parallel import parallel_map
from arena.core.progress import Progress
from arena.core.seeding import derive_seed
from arena.detectors.base import Detector, FittedDetector, LearnedDetector
from arena.detectors.gallery import Gallery, Labelled, score_all
from arena.detectors.heads.head import Sample
from arena.detectors.shared import GRID, share
from arena.metrics.auc import auc
from arena.training.machine import Machine, step_loader

VALIDATIONS = 20
"""In a whole budget; in a small one fewer, ``SPACING`` steps apart: looking must not cost more than learning."""
SPACING = 4
LEARNING_COST = 3
"""Of an image learned from, in images only looked at: a backward pass costs two forward ones."""
PREPARED, PREPARED_VALUES = 2048, 1 << 26
"""Most images, and of large ones fewer, that a detector looks at before its first step."""


@dataclass
class EarlyStopState:
    """How one detector fares: its best state so far, and how many looks ago that was."""

    best_auc: float = -math.inf
    best_state: dict[str, Tensor] = field(default_factory=dict)
    waited: int = 0
    loss: Tensor = field(default_factory=lambda: torch.zeros(()))


class BatteryTraining(pl.LightningModule):
    """All gradient-trained detectors of a battery on one stream of batches, of as many reals as fakes.

    Their parameters are disjoint, so that the sum of their losses is minimised by each minimising its own: every one
    goes backward as soon as it has gone forward, and what it held is freed. A detector's outcome does not depend on who
    learns beside it (but for last digits, see ``parallel_map``).

    Args:
        detectors: by technique, trained in place; each ends in the state whose validation AUC was highest.
        gallery: the images.
        train: those to learn from.
        validation: those each is stopped on.
        settings: batch, learning rate, patience.
        seed: of the batches.
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
        self.labels = torch.tensor([0.0, 1.0]).repeat_interleave(
            torch.tensor([settings.batch - settings.batch // 2, settings.batch // 2])
        )
        self.pupils = {name: EarlyStopState() for name in detectors}

    @property
    def learning(self) -> dict[str, LearnedDetector]:
        """Those that have not been stopped."""
        return {
            name: cast(LearnedDetector, self.detectors[name])
            for name, pupil in self.pupils.items()
            if pupil.waited < self.settings.patience
        }

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW (Loshchilov & Hutter 2019) over one cycle of the learning rate (Smith & Topin 2019).

        At a constant rate the validation loss of a young network is so ragged that it stops weak; a judge must not.
        """
        rates = [detector.learning_rate or self.settings.learning_rate for detector in self.learning.values()]
        groups = [
            {"params": [parameter for parameter in detector.parameters() if parameter.requires_grad], "lr": rate}
            for detector, rate in zip(self.learning.values(), rates, strict=True)
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=1e-2, fused=True)
        steps = max(int(self.trainer.estimated_stepping_batches), 2)
        return [optimizer], [torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)]

    def training_step(self, step: int) -> None:
        """One step of every detector that still learns."""
        rng = torch.Generator().manual_seed(derive_seed(self.seed, "batch", step))
        halves = ((self.reals, self.settings.batch - self.settings.batch // 2), (self.fakes, self.settings.batch // 2))
        drawn = torch.cat([which[torch.randint(len(which), (n,), generator=rng)] for which, n in halves])
        at = torch.rand(len(drawn), 2, generator=rng)
        learning, labels = self.learning, self.labels.to(self.device)
        seen = {side: self._seen(drawn, side, at) for side in {detector.side for detector in learning.values()}}

        def learn(name: str) -> None:
            """Forward and backward of one detector; Lightning's own backward is not made for several threads."""
            detector = learning[name]
            stream = derive_seed(self.seed, "augment", step, name)
            images = detector.augmented(seen[detector.side], torch.Generator().manual_seed(stream))
            if detector.draws:
                with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
                    torch.manual_seed(stream)
                    loss = detector.loss(images, labels)
                    loss.backward()
            else:
                loss = detector.loss(images, labels)
                loss.backward()
            self.pupils[name].loss = loss.detach()

        parallel_map(learn, [name for name, detector in learning.items() if not detector.draws], self.device)
        for name in (name for name, detector in learning.items() if detector.draws):
            learn(name)
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        optimizer.step()
        optimizer.zero_grad()
        cast(torch.optim.lr_scheduler.OneCycleLR, self.lr_schedulers()).step()

    def _seen(self, which: Tensor, side: int, at: Tensor) -> Tensor:
        return share(self.gallery.glimpses(which, side, at).contiguous(memory_format=torch.channels_last))

    def validation_step(self, step: int) -> None:
        """AUC of each over all validation images, in eval mode and full precision.

        It is AUC a judge is judged by. The log loss of a network that ranks well but is too sure of itself rises while
        its ranking still improves: stopped by that, judges of hard fakes stay near chance by an accident of their seed.
        """
        learning = self.learning
        logits = score_all(learning, self.gallery, self.validation_set.which)
        for name, detector in learning.items():
            pupil = self.pupils[name]
            found = auc(logits[name].numpy(), self.validation_set.labels.numpy())
            pupil.waited += 1
            if found > pupil.best_auc:
                pupil.best_auc, pupil.waited = found, 0
                pupil.best_state = {key: value.clone() for key, value in detector.state_dict().items()}
            if self.logger:
                shown = {f"{name}/loss": float(pupil.loss), f"{name}/validation_auc": found}
                self.logger.log_metrics(shown | {"images": float(self.global_step * self.settings.batch)})
        self.trainer.should_stop = not self.learning

    def on_fit_end(self) -> None:
        """Back to the best states."""
        for name, pupil in self.pupils.items():
            if pupil.best_state:
                self.detectors[name].load_state_dict(pupil.best_state)


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
    """Train detectors of either kind in place, within their budget; the images of the stream that were shown.

    Args:
        detectors: by technique; new or, unless ``fresh``, as an earlier round left them.
        gallery: the images.
        train: those to learn from.
        validation: those to stop on; a fitted technique that needs no fakes sees the reals of either alone.
        settings: batch, learning rate, patience.
        images: most images shown to a detector that learns by gradient; a fitted one sees each example once.
        fresh: whether ``prepare`` must look at the data first.
        seed: of all that is random.
        machine: device and precision.
        progress: is told of every step.
        logger: of the phase.
    """
    gallery.measure(detectors)
    learned: dict[str, LearnedDetector] = {}
    for name, detector in detectors.items():
        match detector:
            case FittedDetector():
                samples = [_sample(detector, name, gallery, labelled) for labelled in (train, validation)]
                detector.fit(*samples, seed=derive_seed(seed, "fit", player=name))
            case LearnedDetector():
                learned[name] = detector
            case _:
                raise TypeError(f"{type(detector).__name__} is neither a LearnedDetector nor a FittedDetector")
    if not learned:
        return 0
    if fresh:
        _prepare(learned, gallery, train, seed)
    for detector in learned.values():
        detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = images // settings.batch
    most = [VALIDATIONS, steps // SPACING, int(images * LEARNING_COST / _looked_at(learned, validation))]
    every = max(1, steps // max(1, min(most)))
    taken = machine.fit(
        BatteryTraining(learned, gallery, train, validation, settings, seed),
        step_loader(0, steps),
        step_loader(0, 1),
        callbacks=[] if progress is None else [progress.callback(settings.batch)],
        logger=logger,
        validate_every=every,
    )
    for detector in learned.values():  # as a saved one is loaded, so that both score alike to the last bit
        detector.to(gallery.device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return taken * settings.batch


def _looked_at(detectors: Mapping[str, LearnedDetector], validation: Labelled) -> int:
    """Most squares that one of them looks at in a validation."""
    large = any(detector.side < detector.resolution for detector in detectors.values())
    return len(validation.which) * (GRID**2 if large else 1)


def _sample(detector: FittedDetector, name: str, gallery: Gallery, labelled: Labelled) -> Sample:
    which, labels = labelled
    if not detector.needs_fakes:
        which, labels = which[labels == 0], labels[labels == 0]
    return Sample(gallery.features(name, which), labels)


def _prepare(detectors: Mapping[str, LearnedDetector], gallery: Gallery, train: Labelled, seed: int) -> None:
    """Let each look at some of the training images, as it will see them."""
    for detector in detectors.values():
        rng = torch.Generator().manual_seed(derive_seed(seed, "prepare"))
        most = min(PREPARED, PREPARED_VALUES // (detector.channels * detector.side**2))
        which = train.which[torch.randperm(len(train.which), generator=rng)[:most]]
        detector.to(gallery.device)
        detector.prepare(gallery.glimpses(which, detector.side, torch.rand(len(which), 2, generator=rng)))
