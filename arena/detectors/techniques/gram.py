"""Gram-Net: global texture by Gram matrices of features at several depths."""

from typing import Annotated, Unpack

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import TrunkFactory

SUMMARY = 32
"""Features of a branch."""


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrix F F^T / (C H W), (B, C, C), float32, of features F (B, C, H, W)."""
    _, channels, height, width = features.shape
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)
        return flat @ flat.transpose(1, 2) / (channels * height * width)


class GramBranch(nn.Module):
    """A convolution of a feature map, its Gram matrix (of side ``width``), two convolutions of it, and their mean."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.before = _convolution(inputs, width, stride=1)
        self.after = nn.Sequential(
            _convolution(1, SUMMARY // 2, stride=2), _convolution(SUMMARY // 2, SUMMARY, stride=2)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Summary (B, 32) of features (B, inputs, H, W)."""
        return self.after(gram_matrix(self.before(features))[:, None]).mean(dim=(2, 3))


class Gram(LearnedDetector):
    """Texture at large survives down-sampling and compression: Gram matrices of the maps of a residual network.

    There is a branch for the image and for each map but the last, which is pooled.

    Paper: Liu, Qi & Torr (2020), "Global texture enhancement for fake face detection in the wild" (Gram-Net).
    Differences: The default network is small and trained from scratch, with matrices of 8 channels; the paper's is a
    ResNet-18 with matrices of 32 (``detector/paper/gram``). The dropout before the last layer is left out: it would
    draw from a stream that detectors share.
    Blind spots: The place of a texture, which a Gram matrix does not contain.
    Example: ``battery.add=[gram]``

    Args:
        width: channels of each Gram matrix, at least 2.
        hidden: units of the layer on all summaries.
        trunk: the residual network.
    """

    artefact = "spectral_peak"

    def __init__(
        self,
        *,
        width: Annotated[int, Field(ge=2)],
        hidden: PositiveInt,
        trunk: TrunkFactory,
        **keywords: Unpack[Keywords],
    ) -> None:
        super().__init__(**keywords)
        self.trunk = trunk(channels=self.channels, side=self.side)
        *passed, last = self.trunk.widths
        self.branches = nn.ModuleList([GramBranch(inputs, width) for inputs in (self.channels, *passed)])
        self.scale = nn.Parameter(torch.ones(()))
        self.head = nn.Sequential(
            nn.Linear(last + SUMMARY * len(self.branches), hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Flatten(0)
        )

    def summary(self, images: Tensor) -> Tensor:
        """Mean of the last map and all branches, (B, last + 32 branches), of images (B, C, side, side)."""
        *passed, last = self.trunk.maps(images)
        textures = [branch(maps) for branch, maps in zip(self.branches, (images, *passed), strict=True)]
        return torch.cat([last.mean(dim=(2, 3)), *(self.scale * texture for texture in textures)], 1)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.head(self.summary(images))


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
