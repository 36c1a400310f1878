"""Degrade reals and fakes alike by noise, blur, JPEG or down-scaling, to measure the margin of detection."""

from math import ceil

import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import Tensor

from arena.core.degradations import LADDERS, Degradation
from arena.imaging.evidence import codec
from arena.imaging.images import on_levels, to_float, to_uint8

CHUNK = 1024
"""Images degraded at once."""


def degraded(images: Tensor, kind: Degradation, level: float, levels: int, seed: int) -> Tensor:
    """Return degraded images on the grey levels of the data, before the evidence path.

    Noise is white and Gaussian, blur is Gaussian, and JPEG is Pillow's. Down-scaled images (antialiased) are scaled up
    again to their size.

    Args:
        images: uint8 (N, C, H, W).
        kind: the degradation.
        level: in the unit that ``LADDERS`` names.
        levels: grey levels of the data.
        seed: seed of the noise. At every level, image i has the same noise at another strength.

    Returns:
        uint8 (N, C, H, W).
    """
    if level == LADDERS[kind].none:
        return images
    draws = torch.Generator().manual_seed(seed)
    parts = [_degrade(to_float(part), kind, level, draws) for part in images.split(CHUNK)]
    return torch.cat([to_uint8(on_levels(part, levels)) for part in parts])


def _degrade(images: Tensor, kind: Degradation, level: float, draws: torch.Generator) -> Tensor:
    if kind == "noise":
        return images + torch.randn(images.shape, generator=draws) * (level / 127.5)
    if kind == "blur":
        kernel = 2 * ceil(3 * level) + 1
        return gaussian_blur2d(images, kernel, (level, level), border_type="replicate")
    if kind == "jpeg":
        return codec(images, round(level))
    height, width = images.shape[-2:]
    small = (max(1, round(height / level)), max(1, round(width / level)))
    shrunk = F.interpolate(images, size=small, mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(shrunk, size=(height, width), mode="bilinear", align_corners=False)
