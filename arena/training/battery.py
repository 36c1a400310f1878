"""Train detectors: one stream of balanced batches for each group of them, all groups side by side."""

import math
from collections.abc import Iterable, Mapping, Sequence
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
from arena.training.aligned import resynthesised, with_aligned
from arena.training.machine import Machine
from arena.training.meter import Meter

VALIDATIONS, SPACING = 20, 4
"""Validations in a whole budget. A small budget has fewer, at least ``SPACING`` steps apart."""
LEARNING_COST = 3
"""Cost of learning from an image, in forward passes: a backward pass costs two forward passes."""
PREPARED, PREPARED_VALUES = 2048, 1 << 26
"""Largest number of images, and of values in them, that a detector is prepared with before its first step."""


@dataclass(frozen=True, eq=False)
class BatchGroup:
    """Detectors that learn from the same images: the battery in the loop, or the judges of one seed and fold.

    Args:
        detectors: by technique.
        train: images to learn from. A fitted technique without need of fakes gets the reals alone, here and below.
        validation: images for early stopping.
        seed: of all randomness.
    """

    detectors: Mapping[str, Detector]
    train: Labelled
    validation: Labelled
    seed: int


def train_battery(
    groups: Sequence[BatchGroup],
    gallery: Gallery,
    *,
    settings: BatteryConfig,
    images: int,
    fresh: bool,
    machine: Machine,
    progress: Progress | None = None,
    logger: Logger | Literal[False] = False,
    meter: Meter | None = None,
    stopped_on: int = 0,
) -> int:
    """Train the fitted and the gradient-trained detectors of all groups in place, within their budget.

    The groups learn side by side, so that small networks keep all cores busy. The result of a detector depends neither
    on the other groups nor on the other detectors, up to the floating-point order described in ``parallel_map``.

    Args:
        groups: detectors that are new if ``fresh``, otherwise as left by an earlier round.
        gallery: all images.
        settings: batch, learning rate, patience.
        images: budget of a detector trained by gradient. A fitted detector sees each example once.
        fresh: whether detectors first have to be prepared with some of the training images.
        machine: device and precision.
        progress: advances with every step.
        logger: of the phase.
        meter: counts the updates of detectors that learn by gradient, and what they cost.
        stopped_on: validation images of the largest group of which these are some. By default these are all.

    Returns:
        The number of images in the batches shown, over all groups, each until the last of its detectors is stopped.
    """
    for group in groups:
        gallery.measure(group.detectors)
    aligned = _aligned(groups, gallery, settings)
    pairs = [(group, name) for group in groups for name in group.detectors]
    parallel_map(
        lambda pair: _fit(*pair, gallery, aligned.get(pair), settings.aligned_share),
        [pair for pair in pairs if _is_fitted(*pair)],
        gallery.device,
    )
    learners = [
        Learner(name, detector, group, aligned.get((group, name)))
        for group, name in pairs
        if isinstance(detector := group.detectors[name], LearnedDetector)
    ]
    if not learners:
        return 0
    for learner in learners if fresh else ():
        _prepare(learner, gallery)
    for learner in learners:
        learner.detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = images // settings.batch
    largest = max(stopped_on, *(len(learner.group.validation.which) for learner in learners))
    crops = largest * crops_of_an_image(learner.detector for learner in learners)
    most = validations(images, settings.batch, crops)
    learning = len({id(learner.group) for learner in learners})
    training = BatteryTraining(learners, gallery, settings, meter)
    machine.fit(
        training,
        range(steps),
        validate_every=max(1, steps // max(1, most)),
        callbacks=[] if progress is None else [progress.callback(settings.batch * learning)],
        logger=logger,
    )
    for learner in learners:  # the layout of a loaded detector, so that both give the same scores to the bit
        learner.detector.to(gallery.device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return training.shown


def crops_of_an_image(detectors: Iterable[LearnedDetector]) -> int:
    """Return the crops that cover an image in scoring: several if it is larger than the crop of a detector."""
    return GRID**2 if any(detector.side < detector.resolution for detector in detectors) else 1


def validations(images: int, batch: int, crops: float) -> int:
    """Return how often a budget is validated: at most ``VALIDATIONS`` times, and for no longer than it learns.

    Args:
        images: that a detector learns from.
        batch: images of a step.
        crops: that one validation scores.
    """
    return min(VALIDATIONS, images // batch // SPACING, int(images * LEARNING_COST / crops))


def _is_fitted(group: BatchGroup, name: str) -> bool:
    detector = group.detectors[name]
    if not isinstance(detector, FittedDetector | LearnedDetector):
        raise TypeError(f"{type(detector).__name__} is neither a LearnedDetector nor a FittedDetector")
    return isinstance(detector, FittedDetector)


def _aligned(
    groups: Sequence[BatchGroup], gallery: Gallery, settings: BatteryConfig
) -> dict[tuple[BatchGroup, str], Gallery]:
    """Return the re-synthesised reals of the members that learn from such, made of their group's own training reals."""
    named = [(group, [name for name in group.detectors if name in settings.aligned]) for group in groups]
    named = [(group, names) for group, names in named if names]

    def make(pair: tuple[BatchGroup, list[str]]) -> Gallery:
        group, names = pair
        made = resynthesised(gallery, group.train.which[group.train.labels == 0], derive_seed(group.seed, "aligned"))
        made.measure({name: group.detectors[name] for name in names})
        return made

    of_groups = parallel_map(make, named, gallery.device)
    return {(group, name): made for (group, names), made in zip(named, of_groups, strict=True) for name in names}


def _fit(group: BatchGroup, name: str, gallery: Gallery, aligned: Gallery | None, share: float) -> None:
    detector, samples = cast(FittedDetector, group.detectors[name]), []
    for which, labels in (group.train, group.validation):
        if not detector.needs_fakes:
            which, labels = which[labels == 0], labels[labels == 0]
        samples.append(Sample(gallery.features(name, which), labels))
    if aligned is not None:
        features = aligned.features(name, torch.arange(len(aligned)))
        samples[0] = with_aligned(samples[0], features, share, derive_seed(group.seed, "aligned", player=name))
    detector.fit(*samples, seed=derive_seed(group.seed, "fit", player=name))


@dataclass(eq=False)
class Learner:
    """A detector that is trained by gradient, with its group and the state of its early stopping.

    Args:
        name: its technique.
        detector: trained in place.
        group: the images that it learns from.
        aligned: the group's training reals, re-synthesised, in their order. None if it does not learn from them.
        best_auc: of its best validation so far.
        best_state: its tensors at that validation.
        validation_auc: of its last validation.
        waited: validations since the best.
        loss: of its last step.
    """

    name: str
    detector: LearnedDetector
    group: BatchGroup
    aligned: Gallery | None = None
    best_auc: float = -math.inf
    best_state: dict[str, Tensor] = field(default_factory=dict)
    validation_auc: float = math.nan
    waited: int = 0
    loss: Tensor = field(default_factory=lambda: torch.zeros(()))


def _prepare(learner: Learner, gallery: Gallery) -> None:
    """Prepare a detector with a random sample of the training images, cropped as in training."""
    detector, train = learner.detector, learner.group.train
    rng = torch.Generator().manual_seed(derive_seed(learner.group.seed, "prepare"))
    most = min(PREPARED, PREPARED_VALUES // (detector.channels * detector.side**2))
    which = train.which[torch.randperm(len(train.which), generator=rng)[:most]]
    detector.to(gallery.device)
    detector.prepare(gallery.crops(which, detector.side, torch.rand(len(which), 2, generator=rng)))


class BatteryTraining(pl.LightningModule):
    """Train detectors by gradient, each group on its own stream of batches, half reals and half fakes.

    Their parameters are disjoint, so minimising each loss minimises the sum. Each detector runs backward right after
    its forward pass, which frees its activations. Each ends in the state of its highest validation AUC.
    """

    def __init__(
        self, learners: Sequence[Learner], gallery: Gallery, settings: BatteryConfig, meter: Meter | None = None
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.detectors = nn.ModuleList(learner.detector for learner in learners)
        self.learners, self.gallery, self.settings = learners, gallery, settings
        self.meter = Meter() if meter is None else meter
        self.shown = 0
        """Images in the batches so far, over all groups."""
        self.halves = (settings.batch - settings.batch // 2, settings.batch // 2)
        self.labels = torch.tensor([0.0, 1.0]).repeat_interleave(torch.tensor(self.halves))
        self.classes = {
            group: [group.train.which[group.train.labels == label] for label in (0, 1)] for group in self.learning
        }

    @property
    def learning(self) -> dict[BatchGroup, list[Learner]]:
        """The detectors that have not been stopped, by their group."""
        groups: dict[BatchGroup, list[Learner]] = {}
        for learner in self.learners:
            if learner.waited < self.settings.patience:
                groups.setdefault(learner.group, []).append(learner)
        return groups

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW (Loshchilov & Hutter 2019) with a one-cycle learning rate (Smith & Topin 2019).

        At a constant rate the validation loss of a young network is so noisy that it stops too early for a judge.
        """
        groups = []
        for learner in self.learners:
            trained = [parameter for parameter in learner.detector.parameters() if parameter.requires_grad]
            groups.append({"params": trained, "lr": learner.detector.learning_rate or self.settings.learning_rate})
        optimizer = torch.optim.AdamW(groups, weight_decay=1e-2, fused=True)
        steps = max(int(self.trainer.estimated_stepping_batches), 2)
        rates = [group["lr"] for group in groups]
        return [optimizer], [torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)]

    def training_step(self, step: int) -> None:
        """Take one step of every detector that has not been stopped."""
        labels, work = self.labels.to(self.device), list[tuple[Learner, Tensor]]()
        for group, learners in self.learning.items():
            self.shown += self.settings.batch
            crops = self._crops(group, {(learner.detector.side, learner.aligned) for learner in learners}, step)
            work += [(learner, crops[learner.detector.side, learner.aligned]) for learner in learners]

        def learn(pair: tuple[Learner, Tensor]) -> None:
            """Run one detector forward and backward. Lightning's own backward does not support several threads."""
            learner, images = pair
            detector = learner.detector
            stream = derive_seed(learner.group.seed, "augment", step, learner.name)
            images = detector.augmented(images, torch.Generator().manual_seed(stream))
            with torch.random.fork_rng([self.device] if self.device.type == "cuda" else [], enabled=detector.draws):
                if detector.draws:
                    torch.manual_seed(stream)
                with self.meter.work(f"{learner.name} learns from {tuple(images.shape)}"):
                    loss = detector.loss(images, labels)
                    loss.backward()
            self.meter.add(detector_updates=1)
            learner.loss = loss.detach()

        batches = {id(images): images for _, images in work}
        with sharing(*batches.values()):
            parallel_map(learn, work, self.device, alone=lambda pair: pair[0].detector.draws)
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        optimizer.step()
        optimizer.zero_grad()
        cast(torch.optim.lr_scheduler.OneCycleLR, self.lr_schedulers()).step()

    def _crops(
        self, group: BatchGroup, kinds: set[tuple[int, Gallery | None]], step: int
    ) -> dict[tuple[int, Gallery | None], Tensor]:
        """Draw the group's batch of a step, and return it by the side of its crops and by its aligned fakes.

        The aligned fakes are those of the first reals of the batch, at the same place. They replace the last fakes.
        """
        rng, classes = torch.Generator().manual_seed(derive_seed(group.seed, "batch", step)), self.classes[group]
        picked = [torch.randint(len(which), (n,), generator=rng) for which, n in zip(classes, self.halves, strict=True)]
        drawn = torch.cat([which[chosen] for which, chosen in zip(classes, picked, strict=True)])
        at = torch.rand(len(drawn), 2, generator=rng)
        count, batches = round(self.settings.aligned_share * self.halves[1]), dict[tuple[int, Gallery | None], Tensor]()
        for side, aligned in kinds:
            crops = self.gallery.crops(drawn, side, at)
            if aligned is not None:
                crops = torch.cat([crops[: len(drawn) - count], aligned.crops(picked[0][:count], side, at[:count])])
            batches[side, aligned] = crops.contiguous(memory_format=torch.channels_last)
        return batches

    def validation_step(self, _step: int) -> None:
        """Compute the AUC of each detector over all validation images, in eval mode and full precision.

        Judges are judged by AUC. The log loss of an overconfident network rises while its ranking still improves.
        Stopping by the loss leaves judges of hard fakes near chance, depending on the seed.
        """
        learning = self.learning
        parallel_map(lambda group: self._validate(*group), list(learning.items()), self.device)
        if self.logger:
            for learner in (learner for learners in learning.values() for learner in learners):
                self._log(learner)
        self.trainer.should_stop = not self.learning

    def _validate(self, group: BatchGroup, learners: list[Learner]) -> None:
        named = {learner.name: learner.detector for learner in learners}
        logits = score_all(named, self.gallery, group.validation.which)
        for learner in learners:
            validation_auc = auc(logits[learner.name].numpy(), group.validation.labels.numpy())
            learner.waited += 1
            learner.validation_auc = validation_auc
            if validation_auc > learner.best_auc:
                learner.best_auc, learner.waited = validation_auc, 0
                learner.best_state = {key: value.clone() for key, value in learner.detector.state_dict().items()}

    def _log(self, learner: Learner) -> None:
        shown = {f"{learner.name}/loss": float(learner.loss), f"{learner.name}/validation_auc": learner.validation_auc}
        assert self.logger
        self.logger.log_metrics(shown | {"images": float(self.global_step * self.settings.batch)})

    def on_fit_end(self) -> None:
        """Restore the best state of each detector."""
        for learner in self.learners:
            if learner.best_state:
                learner.detector.load_state_dict(learner.best_state)
