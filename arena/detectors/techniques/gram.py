"""Global texture: Gram matrices of features at several depths (Gram-Net: Liu, Qi & Torr 2020)."""

from typing import Unpack

import torch
from torch import Tensor, nn

from arena.core.errors import require
from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import TrunkFactory

SUMMARY = 32
"""Numbers that a branch adds to the features."""


def gram_matrix(features: Tensor) -> Tensor:
    """Which channels are strong together, wherever: F F^T / (C H W), (B, C, C), float32, of features F (B, C, H, W)."""
    _, channels, height, width = features.shape
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)
        return flat @ flat.transpose(1, 2) / (channels * height * width)


class GramBranch(nn.Module):
    """A map of features to what its Gram matrix says: a convolution, the matrix, two more on it, and their mean.

    Args:
        inputs: channels of the map.
        width: channels of which the matrix is made.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.before = _convolution(inputs, width, stride=1)
        self.after = nn.Sequential(
            _convolution(1, SUMMARY // 2, stride=2), _convolution(SUMMARY // 2, SUMMARY, stride=2)
        )

    def forward(self, features: Tensor) -> Tensor:
        """A summary (B, 32) of features (B, inputs, H, W)."""
        return self.after(gram_matrix(self.before(features))[:, None]).mean(dim=(2, 3))


class Gram(LearnedDetector):
    """A residual network with a Gram branch on the image and on each of its maps but the last, which is pooled.

    Down-sampling and compression spare texture at large, the authors found, where they wipe out fine detail. By default
    the network is small and learned from scratch, and its Gram matrices are of 8 channels; the published one is a
    ResNet-18 with matrices of 32. The published dropout before the last layer is left out: it would draw from a stream
    that detectors share.

    Args:
        width: channels of each Gram matrix.
        hidden: of the layer on all summaries.
        trunk: the residual network.
        keywords: those of ``LearnedDetector``.
    """

    artefact = "checkerboard"

    def __init__(self, *, width: int, hidden: int, trunk: TrunkFactory, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        require(width >= 2, "width", width, "at least 2 channels")
        require(hidden >= 1, "hidden", hidden, "at least 1")
        self.trunk = trunk(channels=self.channels, side=self.side)
        *passed, last = self.trunk.widths
        self.branches = nn.ModuleList([GramBranch(inputs, width) for inputs in (self.channels, *passed)])
        self.scale = nn.Parameter(torch.ones(()))
        self.head = nn.Sequential(
            nn.Linear(last + SUMMARY * len(self.branches), hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Flatten(0)
        )

    def summary(self, images: Tensor) -> Tensor:
        """The last map's mean and all branches, (B, last + 32 branches), of images (B, C, side, side)."""
        *passed, last = self.trunk.maps(images)
        textures = [branch(found) for branch, found in zip(self.branches, (images, *passed), strict=True)]
        return torch.cat([last.mean(dim=(2, 3)), *(self.scale * texture for texture in textures)], 1)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.head(self.summary(images))


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
