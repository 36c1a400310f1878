"""Neighbouring pixel relationships (NPR: Tan, Zhao, Wei, Gu, Liu & Wei 2024)."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import Network, Standardised


def relationships(images: Tensor) -> Tensor:
    """Two thirds of what each pixel differs by from the upper left one of its 2x2 square, (B, C, H, W).

    That is the image less itself sampled down and up by the nearest neighbour. Up-sampling inside a generator leaves
    the pixels of such a square more alike than a camera does.
    """
    height, width = images.shape[-2:]
    corners = F.interpolate(images[..., ::2, ::2], scale_factor=2, mode="nearest")
    return (images - corners[..., :height, :width]) * (2 / 3)


class Npr(LearnedDetector):
    """A network on the relationships of neighbouring pixels, trained without blur or JPEG, as the authors do.

    The paper has the first two stages of a ResNet-50, trained from scratch; the default network is smaller, and as it
    begins without a normalisation, the relationships are standardised.

    What it cannot see is how a square differs from the next. Where resampling only shrinks the differences within
    squares by a tenth, it stays near chance; its own planted artefact is therefore ``checkerboard``.

    Args:
        network: on the relationships.
        keywords: those of ``LearnedDetector``.
    """

    artefact = "checkerboard"

    def __init__(self, *, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.network = Standardised(network(channels=self.channels, side=self.side), (self.channels, 1, 1))

    def prepare(self, images: Tensor) -> None:
        """Mean and deviation of the relationships over the training images."""
        self.network.measure(relationships(images))

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.network(relationships(images))
