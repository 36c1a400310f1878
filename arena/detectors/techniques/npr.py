"""NPR: neighbouring pixel relationships."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from arena.detectors.base import Keywords, NetworkDetector
from arena.detectors.networks.wrappers import Network, Standardised


def relationships(images: Tensor) -> Tensor:
    """Difference (B, C, H, W) of each pixel from the upper left one of its 2x2 square, times two thirds.

    It is the image less itself, sampled down and up by nearest neighbours.
    """
    height, width = images.shape[-2:]
    corners = F.interpolate(images[..., ::2, ::2], scale_factor=2, mode="nearest")
    return (images - corners[..., :height, :width]) * (2 / 3)


class Npr(NetworkDetector):
    """Up-sampling in a generator leaves neighbouring pixels more alike than a camera does: a network on differences.

    Paper: Tan, Zhao, Wei, Gu, Liu & Wei (2024), "Rethinking the up-sampling operations" (NPR).
    Differences: The paper has the first two stages of a ResNet-50, from scratch (``detector/paper/npr``). The default
    network is smaller and begins without a normalisation, so the differences are standardised. As in the paper, there
    is no blur or JPEG in training.
    Blind spots: The difference between one 2x2 square and the next. Where resampling only shrinks the differences
    within squares by a tenth, it stays near chance. The planted artefact is therefore ``spectral_peak``.
    Example: ``battery.add=[npr]``

    Args:
        network: on the differences.
    """

    artefact = "spectral_peak"

    def __init__(self, *, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.network = Standardised(network(channels=self.channels, side=self.side), (self.channels, 1, 1))

    def representation(self, images: Tensor) -> Tensor:
        """Differences (B, C, H, W) of images (B, C, H, W)."""
        return relationships(images)
