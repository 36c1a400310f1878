"""What every detector is: images to logits, higher means more fake (real = 0, fake = 1)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NotRequired, Self, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.core.errors import require
from arena.detectors.heads.head import Head, Sample
from arena.detectors.shared import crops
from arena.generators.artefacts import Artefact
from arena.generators.base import TrainableGenerator


@dataclass(frozen=True)
class Examples:
    """Labelled images to learn from: uint8 (N, C, H, W) and labels (N,), 0 real and 1 fake."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, reals: Tensor, fakes: Tensor) -> Self:
        """Of both classes, the reals first."""
        counts = torch.tensor([len(reals), len(fakes)])
        return cls(torch.cat([reals, fakes]), torch.tensor([0, 1]).repeat_interleave(counts))


class Detector(nn.Module, ABC):
    """A detection technique. Built by ``factory(resolution=..., channels=..., levels=...)``.

    Its tensors, buffers included, are all it knows: they are saved as safetensors and loaded into a new instance. It
    draws nothing from torch's global streams, since many learn side by side.

    Args:
        resolution: side in pixels of the images it sees (after the evidence path).
        channels: 1 or 3.
        levels: grey levels of the data.

    Raises:
        ArenaError: for an impossible value, by the name of the parameter; whoever builds it knows the rest of the key.
        DoesNotApply: where the technique cannot work on such images.
    """

    differentiable: bool
    """Whether a gradient of the logit reaches the image; without one a white-box generator is never told of it."""
    artefact: Artefact
    """The planted artefact a fit judge of this technique must catch: a kind of ``generator=planted``."""
    needs_fakes: ClassVar[bool] = True
    """Whether it learns from fakes; one that does not is a ``FittedDetector``, and is handed reals alone."""

    def __init__(self, *, resolution: int, channels: int, levels: int) -> None:
        super().__init__()
        self.resolution, self.channels, self.levels = resolution, channels, levels

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W) in [-1, 1] that came down the evidence path."""


class Keywords(TypedDict):
    """What every ``LearnedDetector`` is built with, beside what is its own."""

    resolution: int
    channels: int
    levels: int
    crop: NotRequired[int | None]
    learning_rate: NotRequired[float | None]


class LearnedDetector(Detector):
    """Learns by gradient, under ``arena.training.battery``.

    It looks at native pixels, never at resized ones: of images larger than its ``crop`` it sees random squares of that
    side in training, and the mean of its logits of evenly spaced squares is its score.

    Args:
        resolution: side in pixels of the images.
        channels: 1 or 3.
        levels: grey levels of the data.
        crop: largest side of what it looks at; None for the whole image, whatever its size.
        learning_rate: highest of its cycle; None for the battery's.
    """

    differentiable = True
    draws = False
    """Whether it draws from torch's global streams after all (dropout in a foreign network): it then learns alone."""

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        crop: int | None = None,
        learning_rate: float | None = None,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(crop is None or crop >= 8, "crop", crop, "at least 8 pixels, or null")
        require(learning_rate is None or learning_rate > 0, "learning_rate", learning_rate, "above 0, or null")
        self.learning_rate = learning_rate
        self.side = resolution if crop is None else min(crop, resolution)

    def prepare(self, images: Tensor) -> None:
        """Set what is computed from data before the first step (a standardisation, say).

        Args:
            images: (N, C, side, side) in [-1, 1], of both classes.
        """

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Images (B, C, side, side) as the technique's authors alter them in training; all randomness from ``rng``."""
        return images

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of what it looks at, (B, C, side, side)."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Scalar loss of a batch (B, C, side, side) with labels (B,) float: the cross-entropy of its logits."""
        return F.binary_cross_entropy_with_logits(self.logits(images).float(), labels)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W): the mean over its glimpses of each."""
        return torch.stack([self.logits(glimpse) for glimpse in crops(images, self.side)]).mean(0)


class FittedDetector(Detector):
    """Features without anything to learn, and a head that is fitted on them, stopped or chosen on validation.

    The features of an image are computed once, for all folds and seeds of its judges.
    """

    head: Head

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Features (B, F) of images (B, C, H, W); of an image they do not depend on its batch."""

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Fit anew.

        Args:
            train: features and labels to learn from.
            validation: features and labels to stop or choose on.
            seed: of whatever is random in the fit.
        """
        device = next((tensor.device for tensor in self.head.buffers()), torch.device("cpu"))
        self.head.cpu().fit(train, validation, seed)
        self.head.to(device)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W)."""
        return self.head(self.features(images))


class GanAwareDetector(ABC):
    """A technique that looks through the eyes of the GAN: it applies only where the race has trained a generator.

    In round r it is given G and D as round r - 1 left them, which by then are published (at round 0, those of the
    warm-up). It keeps copies, frozen, among its own tensors.
    """

    @abstractmethod
    def meet(self, generator: TrainableGenerator, discriminator: nn.Module) -> None:
        """Take over what it needs of them, in eval mode and without gradients of their weights."""
