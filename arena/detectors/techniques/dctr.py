"""DCTR: phase-aware histograms of the undecimated block DCT."""

import functools
import itertools
from collections.abc import Callable
from typing import Unpack

import torch
from pydantic import PositiveFloat
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import Ridge
from arena.detectors.soft import soft_luma_chroma, soft_root
from arena.detectors.techniques.colour import luma_chroma
from arena.detectors.techniques.dct import dct_matrix

BLOCK = 8
PHASES = 5
"""Classes of offsets on JPEG's grid along either axis: 0, and those as far from it on either side."""
GRAIN = 1 << 12
"""Fractions to which the cosine patterns are rounded. Their sums with whole grey levels below 256 are then exact in
single precision, in any order of summation, so that no bin can depend on the batch of an image."""
TRUNCATION = 4
BINS = TRUNCATION + 1
AT_ONCE = 1 << 17
"""Pixels transformed at once, so that they fit a processor's cache."""


def cosine_patterns(like: Tensor) -> Tensor:
    """Patterns (64, 64) of the orthonormal DCT of 8x8 blocks, of the type of ``like``, in fractions of 1 / ``GRAIN``.

    A flattened block times this matrix gives its coefficients, vertical frequency first.
    """
    matrix = dct_matrix(BLOCK).double()
    return torch.kron(matrix, matrix).T.mul(GRAIN).round().div(GRAIN).to(like)


def histograms(pixels: Tensor, step: float) -> Tensor:
    """Shares (B, 25, 64, 5) of the quantised magnitudes 0 to 4 of DCT coefficients.

    Args:
        pixels: (B, H, W) in whole grey levels, at least 8 a side.
        step: of the quantisation, in grey levels; magnitudes above 4 steps count as 4.

    Returns:
        Shares by place on the grid (5 vertical times 5 horizontal classes), by coefficient (8 vertical times 8
        horizontal frequencies) and by magnitude. In images of less than 15 pixels some classes have no block; their
        shares are 0.
    """
    counts = _by_place(pixels, functools.partial(_counted, step=step))
    return counts / counts.sum(-1, keepdim=True).clamp_min(1)


def soft_root_histograms(pixels: Tensor, step: float) -> Tensor:
    """Square roots of the shares, as of ``histograms``, with a gradient to pixels (B, H, W) of any values."""
    counts = _by_place(pixels, functools.partial(_soft_counted, step=step))
    return soft_root(counts) / counts.sum(-1, keepdim=True).clamp_min(1).sqrt()


def _by_place(pixels: Tensor, count: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Counts (B, 25, 64, 5) by class of offsets, of counts (B, 64, 5) of the blocks at each offset."""
    patterns, counts = cosine_patterns(pixels), dict[tuple[int, int], Tensor]()
    for top, left in itertools.product(range(BLOCK), repeat=2):
        place = (min(top, BLOCK - top), min(left, BLOCK - left))
        of_offset = count(_blocks(pixels[:, top:, left:]), patterns)
        counts[place] = counts[place] + of_offset if place in counts else of_offset
    return torch.stack([counts[place] for place in itertools.product(range(PHASES), range(PHASES))], dim=1)


def _counted(blocks: Tensor, patterns: Tensor, step: float) -> Tensor:
    """Counts (B, 64, 5) of the magnitudes in blocks (B, N, 64)."""
    magnitude = (blocks @ patterns).abs_().div_(step).round_().clamp_(max=TRUNCATION).long()
    first = torch.arange(len(blocks), device=blocks.device)[:, None, None] * BLOCK**2
    place = (first + torch.arange(BLOCK**2, device=blocks.device)) * BINS
    count = torch.bincount((magnitude + place).flatten(), minlength=len(blocks) * BLOCK**2 * BINS)
    return count.reshape(-1, BLOCK**2, BINS).to(blocks.dtype)


def _soft_counted(blocks: Tensor, patterns: Tensor, step: float) -> Tensor:
    """Counts as of ``_counted``, with a gradient. Going backward, magnitudes are computed again."""
    return checkpoint(_interpolated, blocks, patterns, step, use_reentrant=False, preserve_rng_state=False)


def _interpolated(blocks: Tensor, patterns: Tensor, step: float) -> Tensor:
    """Counts (B, 64, 5) of the magnitudes in blocks (B, N, 64) of any values.

    A magnitude between two whole numbers of steps counts for both, by nearness. That has a slope everywhere, but
    differs from the count, which rounds. So the difference at the nearest whole levels is added to it. Its weight is 1
    at these levels, and falls to 0 where any pixel of the block is halfway to another level. It has no gradient.
    """
    magnitude = (blocks @ patterns).abs() / step
    with torch.no_grad():
        nearest = blocks.round()
        weight = 1 - 2 * (blocks - nearest).abs().amax(2, keepdim=True)
        whole = (nearest @ patterns).abs_().div_(step)
        rounded = whole.round()
    above = []
    for k in range(TRUNCATION):  # how many are above k
        with torch.no_grad():
            difference = weight * ((rounded > k).to(whole) - (whole - k).clamp_(0, 1))
        above.append(((magnitude - k).clamp(0, 1) + difference).sum(1))
    every = torch.full_like(above[0], blocks.shape[1])
    return torch.stack([every, *above], 2) - torch.stack([*above, torch.zeros_like(every)], 2)


def _blocks(pixels: Tensor) -> Tensor:
    """Disjoint blocks (B, N, 64) of pixels (B, H, W); an incomplete block at the end is cut off."""
    down, across = (extent // BLOCK for extent in pixels.shape[1:])
    whole = pixels[:, : down * BLOCK, : across * BLOCK].unflatten(1, (down, BLOCK)).unflatten(3, (across, BLOCK))
    return whole.transpose(2, 3).reshape(len(pixels), down * across, BLOCK**2)


class Dctr(FittedDetector):
    """Histograms of each DCT coefficient at each offset from an 8x8 grid, computed at every pixel.

    They show the traces of JPEG in the noise of an image, and all that recurs with a period of 2, 4 or 8 pixels, as the
    traces of up-sampling do. Offsets are folded by symmetry: 8,000 features.

    Paper: Holub & Fridrich (2015), "Low-complexity features for JPEG steganalysis using undecimated DCT".
    Differences: The authors quantise by the JPEG quality and classify by an ensemble of Fisher discriminants. Here one
    step serves all images, under ridge regression on square roots of shares (a Hellinger kernel).
    Blind spots: Colour, since it takes the luma alone, and the sign of a coefficient. Counts have no gradient, so that
    live opponents learn on ``soft_features``.
    Example: ``battery.add=[dctr]``

    Args:
        step: of the quantisation, in grey levels of the data.
    """

    differentiable = False
    soft = True
    artefact = "stripes"

    def __init__(self, *, step: PositiveFloat, **shape: Unpack[ImageShape]) -> None:
        super().__init__(**shape)
        self.step, self.head = step, Ridge(standardised=False)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Square roots of the shares, (B, 8000), of images (B, C, H, W)."""
        with torch.autocast(images.device.type, enabled=False):
            # Detached: the luma of a shared batch must keep the gradient that other techniques need.
            pixels = luma_chroma(images.detach(), self.levels)[:, 0].round()
            blocks = pixels.split(max(1, AT_ONCE // pixels[0].numel()))
            return torch.cat([histograms(block, self.step).flatten(1).sqrt() for block in blocks])

    def soft_features(self, images: Tensor) -> Tensor:
        """Square roots of the shares, (B, 8000), of images (B, C, H, W), with a gradient.

        Equality with ``features`` on whole grey levels is to the error of single precision.
        """
        with torch.autocast(images.device.type, enabled=False):
            pixels = soft_luma_chroma(images, self.levels)[:, 0]
            blocks = pixels.split(max(1, AT_ONCE // pixels[0].numel()))
            return torch.cat([soft_root_histograms(block, self.step).flatten(1) for block in blocks])
