"""Colour and exposure statistics."""

from typing import Annotated, Unpack

import torch
from kornia.color import rgb_to_ycbcr
from pydantic import Field
from torch import Tensor

from arena.core.errors import requires
from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import LinearSvm
from arena.detectors.shared import shared

EPSILON = 1e-3
"""Added to deviations and to the denominator of saturation: a quarter of a level of 256, for intensities of 0 to 1."""


@shared
def luma_chroma(images: Tensor, levels: int) -> Tensor:
    """Luma and, of colour images, both chroma differences as in JPEG: (B, 1 or 3, H, W) in grey levels.

    Args:
        images: (B, C, H, W) in [-1, 1].
        levels: grey levels of the data. Black is 0, white levels - 1, and chroma is centred on the middle.
    """
    with torch.autocast(images.device.type, enabled=False):
        intensity = (images.float() + 1) / 2
        return (levels - 1) * (rgb_to_ycbcr(intensity) if images.shape[1] == 3 else intensity)


def exposure(intensity: Tensor, thresholds: tuple[float, ...], width: float) -> Tensor:
    """Shares of under- and over-exposed pixels, (B, 2 * C * thresholds), of intensities (B, C, H, W) from 0 to 1.

    Args:
        intensity: of each channel.
        thresholds: distances from black, and from white, within which a pixel counts.
        width: of the soft step at a threshold, which has a gradient.
    """
    flat = intensity.flatten(2)
    sides = [end for threshold in thresholds for end in (threshold - flat, flat - (1 - threshold))]
    return torch.cat([torch.sigmoid(side / width).mean(2) for side in sides], dim=1)


def saturation(rgb: Tensor) -> Tensor:
    """Saturation (B, 1, H, W) of the hexcone model (Smith 1978): the range of the channels over their maximum."""
    highest = rgb.amax(1, keepdim=True)
    return (highest - rgb.amin(1, keepdim=True)) / (highest + EPSILON)


def moments(planes: Tensor) -> Tensor:
    """Mean, deviation and standardised skewness (B, 3 * C) of each plane of (B, C, H, W)."""
    flat = planes.flatten(2)
    mean = flat.mean(2)
    centred = flat - mean[..., None]
    deviation = (centred.square().mean(2) + EPSILON**2).sqrt()
    return torch.cat([mean, deviation, (centred.square() * centred).mean(2) / deviation.pow(3)], dim=1)


def correlations(planes: Tensor) -> Tensor:
    """Correlations (B, 3) of the three pairs of planes (B, 3, H, W)."""
    flat = planes.flatten(2)
    centred = flat - flat.mean(2, keepdim=True)
    unit = centred / (centred.square().mean(2, keepdim=True) + EPSILON**2).sqrt()
    return torch.stack([(unit[:, i] * unit[:, j]).mean(1) for i, j in ((0, 1), (0, 2), (1, 2))], dim=1)


class Colour(FittedDetector):
    """A generator's last layer exposes and colours images unlike a camera: moments and correlations under a linear SVM.

    Paper: McCloskey & Albright (2018), "Detecting GAN-generated imagery using color cues"; Li, Li, Tan & Huang (2020).
    Differences: McCloskey & Albright count under- and over-exposed pixels; here thresholds are soft, so that there is a
    gradient. Li et al. take co-occurrences of chroma residuals in several colour spaces. Here these are the moments and
    correlations of YCbCr pixels and of their horizontal and vertical differences.
    Blind spots: The place of a pixel, and any pattern beyond neighbours. It does not apply to grey images.
    Example: ``battery.add=[colour]``

    Args:
        thresholds: distances from black and from white that count as badly exposed, of a range of 1.
    """

    differentiable = True
    artefact = "colour_shift"

    def __init__(
        self,
        *,
        thresholds: Annotated[list[Annotated[float, Field(ge=0, le=0.5)]], Field(min_length=1)],
        **shape: Unpack[ImageShape],
    ) -> None:
        super().__init__(**shape)
        requires(self.channels == 3, "three channels")
        self.thresholds, self.head = tuple(thresholds), LinearSvm()

    def features(self, images: Tensor) -> Tensor:
        """Statistics (B, F) of images (B, 3, H, W)."""
        with torch.autocast(images.device.type, enabled=False):
            rgb = (images.float() + 1) / 2
            planes = luma_chroma(images, self.levels) / (self.levels - 1)
            across, down = planes.diff(dim=3), planes.diff(dim=2)
            return torch.cat(
                [
                    exposure(rgb, self.thresholds, width=1 / (self.levels - 1)),
                    moments(saturation(rgb)),
                    *(moments(values) for values in (planes, across, down)),
                    *(correlations(values) for values in (rgb, rgb.diff(dim=3), rgb.diff(dim=2))),
                ],
                dim=1,
            )
