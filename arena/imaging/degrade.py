"""Noise, blur, JPEG and down-scaling of reals and fakes alike: how much of it does detection withstand?"""

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
    """Images as they would be had each been photographed, sent or stored less well.

    Noise is white and Gaussian, blur Gaussian, JPEG Pillow's, and what is scaled down (antialiased) is scaled up again.
    What comes out lies on the data's grey levels, ready for the evidence path.

    Args:
        images: uint8 (N, C, H, W).
        kind: of the degradation.
        level: in the unit ``LADDERS`` names.
        levels: grey levels of the data.
        seed: of the noise; that of image i is the same at every level but for its strength.

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
