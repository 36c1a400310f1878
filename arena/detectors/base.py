"""Detectors: images to logits, where a higher logit means more fake (real = 0, fake = 1)."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Unpack

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from arena.detectors.heads import Head, Sample
from arena.detectors.networks.wrappers import Standardised
from arena.detectors.shared import crops
from arena.generators.base import TrainableGenerator
from arena.generators.controls import Artefact
from arena.imaging.images import ImageShape

CropSide = Annotated[int, Field(ge=8)]
"""Side of a crop in native pixels."""


class Keywords(ImageShape, total=False):
    """Keywords of every ``LearnedDetector``, beside the technique's own.

    Args:
        crop: largest side of a crop, at least 8 pixels; None (default) for the whole image.
        learning_rate: peak of the one-cycle schedule; None (default) for that of the battery.
    """

    crop: CropSide | None
    learning_rate: PositiveFloat | None


class Detector(nn.Module, ABC):
    """A detection technique, built by ``factory(resolution=..., channels=..., levels=...)``.

    All it has learned is in its parameters and buffers. They are saved as safetensors and loaded into a new instance.
    It draws nothing from torch's global random streams, since many detectors learn in parallel. Several threads may
    score with one instance in eval mode, which keeps nothing between calls.

    Args:
        shape: of the images, see ``ImageShape``.

    Raises:
        ArenaError: for an impossible value, by the name of the parameter. The caller adds the rest of the key.
        DoesNotApply: where the technique cannot work on such images.
    """

    differentiable: bool
    """Whether a gradient of the logit reaches the image; a white-box generator attacks no other technique."""
    artefact: Artefact
    """Kind of ``generator=planted`` that a fit judge of this technique must catch."""
    needs_fakes: ClassVar[bool] = True
    """Whether it learns from fakes. A technique that does not is a ``FittedDetector`` and gets reals alone."""

    def __init__(self, **shape: Unpack[ImageShape]) -> None:
        super().__init__()
        self.resolution, self.channels, self.levels = shape["resolution"], shape["channels"], shape["levels"]

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W) in [-1, 1] that came down the evidence path."""


class LearnedDetector(Detector):
    """A detector that learns by gradient, under ``arena.training.battery``.

    It sees native pixels, never resized ones. Of images larger than ``crop`` it sees random crops in training. In
    scoring, the logit is the mean over evenly spaced crops. Its arguments are those of ``Keywords``.
    """

    differentiable = True
    draws = False
    """Whether it draws from torch's global streams after all (dropout in another package's network). It then learns
    alone."""

    def __init__(
        self,
        *,
        crop: CropSide | None = None,
        learning_rate: PositiveFloat | None = None,
        **shape: Unpack[ImageShape],
    ) -> None:
        super().__init__(**shape)
        self.learning_rate = learning_rate
        self.side = self.resolution if crop is None else min(crop, self.resolution)

    def prepare(self, images: Tensor) -> None:
        """Compute a preprocessing, such as a standardisation, before the first step.

        Args:
            images: (N, C, side, side) in [-1, 1], of both classes.
        """

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Augmented training images (B, C, side, side), as the paper has it; all randomness comes from ``rng``."""
        return images

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of crops (B, C, side, side)."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Scalar loss of crops (B, C, side, side) with labels (B,) float: the cross-entropy of the logits."""
        return F.binary_cross_entropy_with_logits(self.logits(images).float(), labels)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W): the mean over the crops of each."""
        return torch.stack([self.logits(crop) for crop in crops(images, self.side)]).mean(0)


class NetworkDetector(LearnedDetector):
    """A network on a fixed or learned representation of each crop, standardised if the network is ``Standardised``."""

    network: nn.Module

    def representation(self, images: Tensor) -> Tensor:
        """Input of the network for crops (B, C, side, side): the crops themselves, unless a technique has its own."""
        return images

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        """Measure the representation of the training images (N, C, side, side)."""
        if isinstance(self.network, Standardised):
            self.network.measure(self.representation(images))

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of crops (B, C, side, side)."""
        return self.network(self.representation(images))


class FittedDetector(Detector):
    """Fixed features under a head that is fitted at once, and stopped or selected on validation.

    The features of an image are computed once, for all folds and seeds of its judges.
    """

    head: Head
    soft: bool = False
    """Whether a technique without a gradient has differentiable features all the same, ``soft_features``."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Features (B, F) of images (B, C, H, W), each independent of the rest of the batch."""

    def soft_features(self, images: Tensor) -> Tensor:
        """Features (B, F) with a gradient to images (B, C, H, W) of any values.

        On images of whole grey levels they equal ``features``, and between levels they are continuous. There the slope
        of a count is 0 on one side of each level. A caller that needs a slope adds noise of one grey level.
        """
        return self.features(images)

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Fit the head anew.

        Args:
            train: features and labels to learn from.
            validation: features and labels to stop or select on.
            seed: of the random draws of the fit.
        """
        device = next((tensor.device for tensor in self.head.buffers()), torch.device("cpu"))
        self.head.cpu().fit(train, validation, seed)
        self.head.to(device)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W)."""
        return self.head(self.features(images))


class GanAwareDetector(ABC):
    """A technique that uses the GAN itself. It applies only where the race trains a generator.

    In round r it is given the generator and the discriminator of round r - 1, which by then are published. At round 0
    these are the warm-up's. It keeps frozen copies among its own tensors.
    """

    @abstractmethod
    def attach_gan(self, generator: TrainableGenerator, discriminator: nn.Module) -> None:
        """Copy the parts of the GAN that the technique uses, in eval mode and with frozen weights."""
