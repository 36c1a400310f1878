"""Counts with a gradient. On whole grey levels they equal the counts, and between levels they are interpolated."""

import itertools

import torch
from torch import Tensor

from arena.detectors.techniques.colour import luma_chroma
from arena.imaging.images import straight_through

GRAIN = 1 << 12
"""Fractions of a grey level that are told apart. Whole levels, and third differences of them, are then exact."""


def places(images: Tensor, levels: int) -> Tensor:
    """Grey levels (B, C, H, W), of 0 to levels - 1, of images in [-1, 1], exact at whole levels.

    Values are rounded to 1 / ``GRAIN`` of a level, which is more than the error of an image in single precision. The
    gradient is that of the values before rounding.
    """
    exact = (images.float() + 1) * ((levels - 1) / 2)
    return straight_through(exact, exact.detach().mul(GRAIN).round().div(GRAIN))


def soft_luma_chroma(images: Tensor, levels: int) -> Tensor:
    """Luma and chroma, (B, 1 or 3, H, W), that equal ``luma_chroma(...).round()`` on whole grey levels.

    Luma and chroma of whole levels are no whole numbers, so that they are rounded, and a rounded value has no slope.
    Between levels this is the mean of the rounded values over all eight roundings of red, green and blue up or down,
    weighed by nearness (trilinear interpolation). Grey images have one plane, their levels.
    """
    place = places(images, levels)
    if place.shape[1] == 1:
        return place
    lower = place.detach().floor()
    sides = [(1 - above, above) for above in (place - lower).unbind(1)]
    planes = torch.zeros_like(place)
    for corner in itertools.product((0, 1), repeat=3):
        red, green, blue = (side[up] for side, up in zip(sides, corner, strict=True))
        whole = lower + torch.tensor(corner, device=lower.device)[:, None, None]
        # The arithmetic is that of ``on_levels``, so that a half is rounded to the same side as in an image.
        planes = planes + (red * green * blue)[:, None] * luma_chroma(whole / ((levels - 1) / 2) - 1, levels).round()
    return planes


def soft_root(counts: Tensor) -> Tensor:
    """Square roots of counts of any values, exact at whole ones, with a slope of at most 1.

    Below 1 it is the chord from 0 to 1, since the root has an infinite slope at 0.

    >>> soft_root(torch.tensor([0.0, 0.25, 1.0, 9.0])).tolist()
    [0.0, 0.25, 1.0, 3.0]
    """
    return torch.where(counts < 1, counts, counts.clamp_min(1).sqrt())
