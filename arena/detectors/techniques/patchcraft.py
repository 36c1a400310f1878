"""PatchCraft: the contrast between rich and poor texture."""

import math
from typing import Annotated, Unpack

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.core.errors import requires
from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import Network
from arena.detectors.techniques.srm import rich_residuals

SMALLEST = 32
"""Side in pixels below which an image has too few patches to compare."""
MARGIN = 2
"""Pixels that a residual of the rich models lacks on every side."""
FINENESS = 2040
"""Parts of the range from black to middle grey in which differences are counted: whole numbers for 17 and 256 levels.
Sums of whole numbers are exact, so that the order of two patches cannot depend on the batch of an image."""


def diversity(images: Tensor, patch: int, stride: int) -> Tensor:
    """Sum of the magnitudes of the differences of neighbours within each patch, across, down and along both diagonals.

    Args:
        images: (B, C, H, W) in [-1, 1].
        patch: side of a patch in pixels.
        stride: between patches.

    Returns:
        (B, rows, columns) float64, whole numbers.
    """
    pixels = (images.detach().double() * FINENESS).round().unfold(2, patch, stride).unfold(3, patch, stride)
    differences = (
        pixels.diff(dim=-1),
        pixels.diff(dim=-2),
        pixels[..., 1:, 1:] - pixels[..., :-1, :-1],
        pixels[..., 1:, :-1] - pixels[..., :-1, 1:],
    )
    return torch.stack([difference.abs().sum((1, 4, 5)) for difference in differences]).sum(0)


class PatchCraft(LearnedDetector):
    """A camera leaves the same noise in rich and in poor texture, a generator does not: a network on their difference.

    The patches of an image are ordered by texture. The richest third and the poorest third make two mosaics of noise
    residuals. Both pass one layer, and a network sees their difference. Mosaics have no content to learn.

    Paper: Zhong, Xu, Qian & Zhang (2023), "PatchCraft: Exploring texture patch for efficient AI-generated image
    detection".
    Differences: The authors draw 192 patches of 32x32 pixels at random, of which the mosaics take 64 each. Here patches
    lie on a grid, half a patch apart. With the configured crop of 128 pixels they are 36, of which the mosaics take 9
    each. With ``crop=256`` they are 196, and the mosaics take 64 as in the paper. A patch is at most a quarter of
    the side. Residuals are computed before the mosaic, so that no filter crosses a seam. The network behind the
    difference is the small one of the others.
    Blind spots: A trace that is the same in rich and poor texture shows little, and so do brightness and the place of a
    trace. It does not apply to images of less than 32 pixels.
    Example: ``battery.add=[patchcraft]``

    Args:
        patch: largest side of a patch in pixels, even.
        truncation: largest magnitude of a residual, in grey levels of the data.
        width: channels of the common layer.
        network: on the difference.
        keywords: arguments of ``LearnedDetector``. With a ``crop``, patches are taken from each crop.
    """

    artefact = "checkerboard"

    def __init__(
        self,
        *,
        patch: Annotated[int, Field(ge=8, multiple_of=2)],
        truncation: PositiveFloat,
        width: PositiveInt,
        network: Network,
        **keywords: Unpack[Keywords],
    ) -> None:
        super().__init__(**keywords)
        requires(self.side >= SMALLEST, f"{SMALLEST} pixels a side")
        self.patch, self.truncation = min(patch, self.side // 8 * 2), truncation
        grid = (self.side - 2 * MARGIN - self.patch) // (self.patch // 2) + 1
        self.tiles = math.isqrt(grid**2 // 3)
        self.common = nn.Sequential(
            nn.Conv2d(30 if self.channels == 1 else 32, width, 3, padding=1), nn.BatchNorm2d(width), nn.Hardtanh()
        )
        self.network = network(channels=width, side=self.tiles * self.patch)

    def mosaics(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Truncated residuals of rich and of poor texture, (B, 30 or 32, tiles * patch, tiles * patch) in [-1, 1].

        Args:
            images: (B, C, side, side).
        """
        stride = self.patch // 2
        inner = images[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
        order = diversity(inner, self.patch, stride).flatten(1).argsort(dim=1, stable=True)
        residuals = (rich_residuals(images, self.levels) / self.truncation).clamp(-1, 1)
        patches = residuals.unfold(2, self.patch, stride).unfold(3, self.patch, stride)
        rich, poor = (self._mosaic(patches, which) for which in (order.flip(1), order))
        return rich, poor

    def _mosaic(self, patches: Tensor, order: Tensor) -> Tensor:
        """Join the first patches of an order (B, rows * columns), row by row.

        Args:
            patches: (B, C, rows, columns, patch, patch).
            order: places of the patches, by image.
        """
        first = order[:, : self.tiles**2]
        image = torch.arange(len(order), device=order.device)[:, None]
        taken = patches[image, :, first // patches.shape[3], first % patches.shape[3]]  # (B, tiles**2, C, patch, patch)
        taken = taken.unflatten(1, (self.tiles, self.tiles)).permute(0, 3, 1, 4, 2, 5)
        return taken.flatten(4, 5).flatten(2, 3)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        rich, poor = self.mosaics(images)
        return self.network(self.common(rich) - self.common(poor))
