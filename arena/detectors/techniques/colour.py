"""Colour and exposure statistics (McCloskey & Albright 2018; Li, Li, Tan & Huang 2020) under a linear SVM."""

import torch
from kornia.color import rgb_to_ycbcr
from torch import Tensor

from arena.core.errors import require, requires
from arena.detectors.base import FittedDetector
from arena.detectors.heads.linear import LinearSvm
from arena.detectors.shared import shared

EPSILON = 1e-3
"""Added to deviations and saturations' denominators: of an intensity from 0 to 1, a quarter of a level of 256."""


@shared
def luma_chroma(images: Tensor, levels: int) -> Tensor:
    """Luma and, of colour images, both chroma differences as JPEG has them: (B, 1 or 3, H, W) in grey levels.

    Args:
        images: (B, C, H, W) in [-1, 1].
        levels: grey levels of the data; black is 0 and white levels - 1, and chroma lies about the middle.
    """
    with torch.autocast(images.device.type, enabled=False):
        intensity = (images.float() + 1) / 2
        return (levels - 1) * (rgb_to_ycbcr(intensity) if images.shape[1] == 3 else intensity)


def exposure(intensity: Tensor, thresholds: tuple[float, ...], width: float) -> Tensor:
    """Shares of under- and over-exposed pixels, (B, 2 * C * thresholds), of intensities (B, C, H, W) from 0 to 1.

    Args:
        intensity: of each channel.
        thresholds: distances from black, and from white, within which a pixel counts.
        width: of the soft step from counting to not counting, which has a gradient.
    """
    flat = intensity.flatten(2)
    sides = [end for threshold in thresholds for end in (threshold - flat, flat - (1 - threshold))]
    return torch.cat([torch.sigmoid(side / width).mean(2) for side in sides], dim=1)


def saturation(rgb: Tensor) -> Tensor:
    """Saturation (B, 1, H, W) of the hexcone model (Smith 1978): the range of the channels over their maximum."""
    highest = rgb.amax(1, keepdim=True)
    return (highest - rgb.amin(1, keepdim=True)) / (highest + EPSILON)


def moments(planes: Tensor) -> Tensor:
    """Mean, deviation and standardised skewness of each plane, (B, 3 * C), of (B, C, H, W)."""
    flat = planes.flatten(2)
    mean = flat.mean(2)
    centred = flat - mean[..., None]
    deviation = (centred.square().mean(2) + EPSILON**2).sqrt()
    return torch.cat([mean, deviation, (centred.square() * centred).mean(2) / deviation.pow(3)], dim=1)


def correlations(planes: Tensor) -> Tensor:
    """Correlations (B, 3) between each two of three planes (B, 3, H, W)."""
    flat = planes.flatten(2)
    centred = flat - flat.mean(2, keepdim=True)
    unit = centred / (centred.square().mean(2, keepdim=True) + EPSILON**2).sqrt()
    return torch.stack([(unit[:, i] * unit[:, j]).mean(1) for i, j in ((0, 1), (0, 2), (1, 2))], dim=1)


class Colour(FittedDetector):
    """How a picture is exposed and coloured, as the sensor of a camera leaves it and a generator's last layer does not.

    Of each channel, the shares of pixels near black and near white; moments of saturation, of luma and chroma and of
    their horizontal and vertical differences; correlations between channels, of the pixels and of the differences. The
    first are those of McCloskey & Albright. Of the chroma residuals Li et al. take co-occurrences in several colour
    spaces; these are but their moments and correlations. Thresholds are soft, so that there is a gradient.

    Args:
        resolution, channels, levels: of the images.
        thresholds: distances from black and from white that count as badly exposed, of a range of 1.

    Raises:
        DoesNotApply: to grey images.
    """

    differentiable = True
    artefact = "colour_shift"

    def __init__(self, *, resolution: int, channels: int, levels: int, thresholds: list[float]) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        possible = len(thresholds) > 0 and all(0 <= threshold <= 0.5 for threshold in thresholds)
        require(possible, "thresholds", thresholds, "shares of the range, 0 to 0.5")
        requires(channels == 3, "three channels")
        self.thresholds, self.head = tuple(thresholds), LinearSvm()

    def features(self, images: Tensor) -> Tensor:
        """The statistics (B, F) of images (B, 3, H, W)."""
        with torch.autocast(images.device.type, enabled=False):
            rgb = (images.float() + 1) / 2
            planes = luma_chroma(images, self.levels) / (self.levels - 1)
            across, down = planes.diff(dim=3), planes.diff(dim=2)
            return torch.cat(
                [
                    exposure(rgb, self.thresholds, width=1 / (self.levels - 1)),
                    moments(saturation(rgb)),
                    *(moments(of) for of in (planes, across, down)),
                    *(correlations(of) for of in (rgb, rgb.diff(dim=3), rgb.diff(dim=2))),
                ],
                dim=1,
            )
