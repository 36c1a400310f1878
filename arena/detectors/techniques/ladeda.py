"""LaDeDa: a score for every patch of 9x9 pixels of a gradient image, and their mean."""

from typing import Annotated, Unpack

import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.techniques.npr import relationships

PATCH = 9
"""Side of a patch in pixels."""
STRIDES = (2, 2, 2, 1)
"""Of the stages, as published."""
EXPANSION = 4
"""Channels of a block, in units of those of its 3x3 convolution."""


class PatchBlock(nn.Module):
    """A bottleneck (He et al. 2016) without padding, so that a place never sees beyond its patch.

    Args:
        inputs: channels.
        width: channels of the middle convolution; the block has ``EXPANSION`` times as many.
        size: of the middle convolution, 1 or 3.
        stride: of the middle convolution.
    """

    def __init__(self, inputs: int, width: int, size: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.margin, self.stride = size // 2, stride
        self.layers = nn.Sequential(
            *_normalised(inputs, width, 1),
            nn.ReLU(),
            *_normalised(width, width, size, stride),
            nn.ReLU(),
            *_normalised(width, outputs, 1),
        )
        same = inputs == outputs and stride == 1
        self.skip = nn.Identity() if same else nn.Sequential(*_normalised(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, outputs, h, w) of features (B, inputs, H, W)."""
        height, width = (extent - self.margin for extent in x.shape[-2:])
        # torch 2.13's own strided 1x1 convolution writes past its memory below 16 channels, channels last.
        middle = x[..., self.margin : height : self.stride, self.margin : width : self.stride]
        return F.relu(self.layers(x) + self.skip(middle))


class LaDeDa(LearnedDetector):
    """A verdict on patches of 9x9 pixels of the differences between neighbours: no content fits into a patch.

    Paper: Cavia, Horwitz, Reiss & Hoshen (2024), "Real-time deepfake detection in the real-world" (LaDeDa).
    Differences: The default network has two stages of one block and 8 channels. With ``width=64`` and
    ``depths=[3,4,6,3]`` it is the paper's (``detector/paper/ladeda``), except that a skip passes the middle of a patch
    and not its upper left corner. The gradient image is that of the authors' code, the differences of NPR. In images of
    less than 9 pixels, the patch is filled up with zeros.
    Blind spots: Relations between places more than a patch apart, and brightness.
    Example: ``battery.add=[ladeda]``

    Args:
        width: channels of the first stage, at least 4; each further stage has twice as many.
        depths: blocks of each stage, two to four stages. The first block of the first two has 3x3 convolutions, all
            others have 1x1.
    """

    artefact = "spectral_peak"

    def __init__(
        self,
        *,
        width: Annotated[int, Field(ge=4)],
        depths: Annotated[list[PositiveInt], Field(min_length=2, max_length=len(STRIDES))],
        **keywords: Unpack[Keywords],
    ) -> None:
        super().__init__(**keywords)
        self.padding = max(0, PATCH - self.side)
        layers: list[nn.Module] = [
            nn.Conv2d(self.channels, width, 1, bias=False),
            *_normalised(width, width, 3),
            nn.ReLU(),
        ]
        inputs = width
        for stage, depth in enumerate(depths):
            for block in range(depth):
                size = 3 if stage < 2 and block == 0 else 1
                layers.append(PatchBlock(inputs, width << stage, size, STRIDES[stage] if block == 0 else 1))
                inputs = EXPANSION * (width << stage)
        self.layers, self.head = nn.Sequential(*layers), nn.Conv2d(inputs, 1, 1)

    def patch_logits(self, images: Tensor) -> Tensor:
        """Logits (B, places), of every patch at an even stride, of images (B, C, side, side)."""
        before, after = self.padding // 2, self.padding - self.padding // 2
        gradients = F.pad(relationships(images), (before, after, before, after))
        return self.head(self.layers(gradients)).flatten(1).float()

    def logits(self, images: Tensor) -> Tensor:
        """Mean logit (B,) of the patches of images (B, C, side, side)."""
        return self.patch_logits(images).mean(1)


def _normalised(inputs: int, outputs: int, size: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    """Build a convolution without padding, and its normalisation."""
    return nn.Conv2d(inputs, outputs, size, stride, bias=False), nn.BatchNorm2d(outputs)
