"""Phase-aware histograms of the undecimated block DCT, DCTR (Holub & Fridrich 2015), under ridge regression."""

import torch
from torch import Tensor

from arena.core.errors import require
from arena.detectors.base import FittedDetector
from arena.detectors.heads.linear import Ridge
from arena.detectors.techniques.colour import luma_chroma
from arena.detectors.techniques.dct import dct_matrix

BLOCK = 8
PHASES = 5
"""Classes of places on JPEG's grid along either axis: 0, and those as far from it on either side."""
GRAIN = 1 << 12
"""Fractions to which the cosine patterns are rounded. Their sums with whole grey levels below 256 are then exact in
single precision, in whatever order they are taken: where a coefficient counts cannot depend on an image's batch."""
TRUNCATION = 4
BINS = TRUNCATION + 1
AT_ONCE = 1 << 17
"""Pixels transformed at once, so that they fit a processor's cache."""


def histograms(pixels: Tensor, step: float) -> Tensor:
    """Shares (B, 25, 64, 5) of the quantised magnitudes 0 to 4 of DCT coefficients.

    Args:
        pixels: (B, H, W) in whole grey levels, at least 8 a side.
        step: of the quantisation, in grey levels; what is above 4 steps counts as 4.

    Returns:
        By place on the grid (5 vertical times 5 horizontal classes), by coefficient (8 vertical times 8 horizontal
        frequencies) and by magnitude. In images of less than 15 pixels some classes have no block; they are all 0.
    """
    matrix = dct_matrix(BLOCK).double()
    patterns = torch.kron(matrix, matrix).T.mul(GRAIN).round().div(GRAIN).to(pixels)
    counts = pixels.new_zeros(len(pixels), PHASES, PHASES, BLOCK**2, BINS)
    of = torch.arange(len(pixels), device=pixels.device)[:, None, None] * BLOCK**2
    place = (of + torch.arange(BLOCK**2, device=pixels.device)) * BINS
    for top in range(BLOCK):
        for left in range(BLOCK):
            blocks = _blocks(pixels[:, top:, left:])
            magnitude = (blocks @ patterns).abs_().div_(step).round_().clamp_(max=TRUNCATION).long()
            found = torch.bincount((magnitude + place).flatten(), minlength=counts[:, 0, 0].numel())
            counts[:, min(top, BLOCK - top), min(left, BLOCK - left)] += found.reshape(-1, BLOCK**2, BINS)
    counts = counts.flatten(1, 2)
    return counts / counts.sum(-1, keepdim=True).clamp_min(1)


def _blocks(pixels: Tensor) -> Tensor:
    """Blocks that do not overlap, (B, N, 64), of pixels (B, H, W); what is left at the end is cut off."""
    down, across = (extent // BLOCK for extent in pixels.shape[1:])
    whole = pixels[:, : down * BLOCK, : across * BLOCK].unflatten(1, (down, BLOCK)).unflatten(3, (across, BLOCK))
    return whole.transpose(2, 3).reshape(len(pixels), down * across, BLOCK**2)


class Dctr(FittedDetector):
    """How strong each DCT coefficient is at each place on an 8 by 8 grid.

    The 64 cosine patterns of JPEG are correlated with the luma at every pixel, and not at every eighth as JPEG does;
    the magnitudes are quantised, and their histograms kept apart by place on the grid that starts at the image's
    corner, folded by symmetry: 8,000 features. So they show what JPEG left of an image's noise, and whatever recurs
    with a period of 2, 4 or 8 pixels, as upsampling does. They are counts and have no gradient.

    The authors quantise by the JPEG quality and classify by an ensemble of Fisher discriminants. Here one step serves
    all, and ridge regression on the square roots of the shares (a Hellinger kernel) is the shrunk discriminant.

    Args:
        resolution, channels, levels: of the images.
        step: of the quantisation, in grey levels of the data.
    """

    differentiable = False
    artefact = "checkerboard"

    def __init__(self, *, resolution: int, channels: int, levels: int, step: float) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(step > 0, "step", step, "above 0")
        self.step, self.head = step, Ridge(standardised=False)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Square roots of the shares, (B, 8000), of images (B, C, H, W)."""
        with torch.autocast(images.device.type, enabled=False):
            # Detached: luma kept with a shared batch must not be without the gradient that others ask of it.
            pixels = luma_chroma(images.detach(), self.levels)[:, 0].round()
            blocks = pixels.split(max(1, AT_ONCE // pixels[0].numel()))
            return torch.cat([histograms(block, self.step).flatten(1).sqrt() for block in blocks])
