"""Artefacts that can be planted in an image, at a known amplitude, to find out who sees them."""

from typing import Literal, get_args

import torch
from torch import Tensor

from arena.config import require
from arena.images import on_levels

Artefact = Literal["checkerboard", "stripes"]


def pattern(kind: Artefact, height: int, width: int) -> Tensor:
    """Float (height, width) of +1 and -1.

    ``checkerboard`` alternates from pixel to pixel both ways, as transposed convolutions do (Odena et al. 2016):
    all its energy is at the corner of the spectrum, beyond the last whole ring of an azimuthal average. ``stripes``
    alternates from column to column: its energy is at the horizontal Nyquist frequency, on that last ring.
    """
    row = 1.0 - 2.0 * (torch.arange(width) % 2)
    column = 1.0 - 2.0 * (torch.arange(height) % 2)
    return column[:, None] * row if kind == "checkerboard" else row.expand(height, width)


def plant(images: Tensor, kind: Artefact, amplitude: float, levels: int) -> Tensor:
    """Add an artefact to images (B, C, H, W) in [-1, 1] on ``levels`` grey levels; the result is on levels again.

    Every pixel moves by plus or minus ``amplitude``, less what black or white cuts off, as an encoder would. On a black
    ground only the upper half of the pattern is left.

    Args:
        images: float, on levels.
        kind: of the artefact.
        amplitude: peak, in grey levels of the data: one is 2 / (levels - 1).
        levels: grey levels of the data.

    Raises:
        ArenaError: for an unknown kind, or an amplitude that is no whole number of grey levels there are.
    """
    check(kind, amplitude, levels)
    step = 2 / (levels - 1)
    return on_levels(images + amplitude * step * pattern(kind, *images.shape[2:]).to(images), levels)


def check(kind: str, amplitude: float, levels: int) -> None:
    """Raise ``ArenaError`` unless ``plant`` can plant this."""
    require(kind in get_args(Artefact), "generator.kind", kind, f"one of {', '.join(get_args(Artefact))}")
    whole = float(amplitude).is_integer() and 0 <= amplitude < levels
    require(whole, "generator.amplitude", amplitude, f"a whole number of the data's grey levels, 0 to {levels - 1}")
