"""A convolutional network learned on pixels (CNNDetection: Wang, Wang, Zhang, Owens & Efros 2020)."""

from typing import ClassVar, Unpack

import torch
from torch import Tensor

from arena.detectors.augmentation import DetectorAugmentation
from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import Network


class Cnn(LearnedDetector):
    """A residual network on the pixels themselves, hardened in training by blur, JPEG and mirroring.

    By default the network is small and learned from scratch; the published one is a ResNet-50 trained on ImageNet. The
    probabilities are those of the paper's weaker variant, "Blur+JPEG (0.1)".

    Args:
        blur, jpeg: probabilities of either in training.
        network: under it.
        keywords: those of ``LearnedDetector``.
    """

    artefact = "checkerboard"
    turn: ClassVar[bool] = False
    """Whether training images are turned as well."""

    def __init__(self, *, blur: float, jpeg: float, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.augmentation = DetectorAugmentation(self.levels, blur, jpeg, turn=self.turn)
        self.network = network(channels=self.channels, side=self.side)

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Blurred, compressed and mirrored by chance."""
        return self.augmentation(images, rng)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.network(images)
