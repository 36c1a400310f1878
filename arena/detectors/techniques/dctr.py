"""DCTR: phase-aware histograms of the undecimated block DCT."""

from typing import Unpack

import torch
from pydantic import PositiveFloat
from torch import Tensor

from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import Ridge
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
    patterns = cosine_patterns(pixels)
    counts = pixels.new_zeros(len(pixels), PHASES, PHASES, BLOCK**2, BINS)
    first = torch.arange(len(pixels), device=pixels.device)[:, None, None] * BLOCK**2
    place = (first + torch.arange(BLOCK**2, device=pixels.device)) * BINS
    for top in range(BLOCK):
        for left in range(BLOCK):
            blocks = _blocks(pixels[:, top:, left:])
            magnitude = (blocks @ patterns).abs_().div_(step).round_().clamp_(max=TRUNCATION).long()
            count = torch.bincount((magnitude + place).flatten(), minlength=counts[:, 0, 0].numel())
            counts[:, min(top, BLOCK - top), min(left, BLOCK - left)] += count.reshape(-1, BLOCK**2, BINS)
    counts = counts.flatten(1, 2)
    return counts / counts.sum(-1, keepdim=True).clamp_min(1)


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
    Blind spots: Colour, since it takes the luma alone, and the sign of a coefficient. Counts have no gradient.
    Example: ``battery.add=[dctr]``

    Args:
        step: of the quantisation, in grey levels of the data.
    """

    differentiable = False
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
