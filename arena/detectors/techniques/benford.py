"""Benford's law: the first digits of DCT coefficients."""

import math
from typing import Annotated, Unpack

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from arena.core.errors import requires
from arena.detectors.shared import shared
from arena.detectors.techniques.colour import luma_chroma
from arena.detectors.techniques.dctr import BLOCK, cosine_patterns
from arena.detectors.trees import BoostedDetector, TreeKeywords

SMALLEST = 16
"""Side in pixels below which an image has too few blocks for a distribution of digits."""
BANDS = 7
"""Bands of frequencies: band k has the coefficients whose two frequencies sum to 2 k - 1 or 2 k."""
SMOOTHING = 0.5
"""Added to every count, so that no logarithm is infinite."""
AT_ONCE = 1 << 15
"""Pixels transformed at once, so that they fit a processor's cache."""


def benford_law(base: int) -> Tensor:
    """Shares (base - 1,), float64, of the first digits 1 to base - 1 of numbers whose logarithm is uniform.

    >>> [round(share, 3) for share in benford_law(10)[:3].tolist()]
    [0.301, 0.176, 0.125]
    """
    digits = torch.arange(1, base, dtype=torch.float64)
    return torch.log1p(1 / digits) / math.log(base)


def first_digits(base: int, largest: int) -> Tensor:
    """First digit (largest + 1,) in a base of each whole number from 0, int64; that of 0 is 0.

    >>> first_digits(10, 12).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 1, 1]
    """
    digits = torch.arange(largest + 1)
    while int(digits.max()) >= base:
        digits = torch.where(digits >= base, digits // base, digits)
    return digits


def band_of() -> Tensor:
    """Band (64,) of each coefficient of a block, from 0; ``BANDS`` for the constant one, which is left out."""
    frequency = torch.arange(BLOCK)
    total = (frequency[:, None] + frequency).flatten()
    return torch.where(total == 0, BANDS, (total - 1) // 2)


def divergences(counts: Tensor, law: Tensor) -> Tensor:
    """Symmetric divergences (..., 3), in nats, between shares of first digits and a law.

    They are those of Kullback & Leibler, of Jensen & Shannon, and of Renyi at order 1/2.

    Args:
        counts: (..., digits).
        law: (digits,), which sum to 1.
    """
    shares = counts.double() + SMOOTHING
    shares = shares / shares.sum(-1, keepdim=True)
    middle = (shares + law) / 2
    symmetric = ((shares - law) * (shares / law).log()).sum(-1)
    halves = (shares * (shares / middle).log() + law * (law / middle).log()).sum(-1) / 2
    return torch.stack([symmetric, halves, -2 * (shares * law).sqrt().sum(-1).log()], dim=-1)


@shared
def coefficients(images: Tensor, levels: int, stride: int) -> Tensor:
    """DCT coefficients (B, blocks, 64), float32, of 8x8 blocks of the luma, in grey levels.

    Args:
        images: (B, C, H, W), at least 8 pixels a side.
        levels: grey levels of the data.
        stride: between blocks, in pixels.
    """
    pixels = luma_chroma(images.detach(), levels)[:, 0].round()
    blocks = pixels.unfold(1, BLOCK, stride).unfold(2, BLOCK, stride).reshape(len(pixels), -1, BLOCK**2)
    return blocks @ cosine_patterns(pixels)


def digit_counts(coefficients: Tensor, base: int, levels: int, step: float) -> Tensor:
    """Counts (B, BANDS, base), int64, of the first digits of quantised coefficients; those of 0 are the zeros.

    Args:
        coefficients: (B, blocks, 64), as of ``coefficients``.
        base: in which they are written.
        levels: grey levels of the data, which bound the coefficients.
        step: of the quantisation, in grey levels.
    """
    largest = math.ceil((levels - 1) * BLOCK / step)  # of 8x8 pixels, since the patterns have norm 1
    digits = first_digits(base, largest).to(coefficients.device)
    digit = digits[(coefficients.abs() / step).round_().clamp_(max=largest).long()]
    row = (BANDS + 1) * torch.arange(len(digit), device=digit.device)[:, None, None] + band_of().to(digit.device)
    counts = torch.bincount((row * base + digit).flatten(), minlength=len(digit) * (BANDS + 1) * base)
    return counts.reshape(len(digit), BANDS + 1, base)[:, :BANDS]


class Benford(BoostedDetector):
    """First digits of the DCT coefficients of photographs follow Benford's law: boosted trees on the distance from it.

    Coefficients of 8x8 blocks are quantised in several steps and written in several bases. In each band of frequencies
    the features are the shares of zeros and of each first digit, and three divergences of the digits from the law.

    Paper: Bonettini, Bestagini, Milani & Tubaro (2020), "On the use of Benford's law to detect GAN-generated images".
    Differences: The authors quantise by JPEG tables, fit a law of three parameters to each frequency, and keep the
    divergences alone, under a random forest. An image of few blocks has too few digits for a fit. So frequencies are
    pooled in seven bands, blocks overlap, steps are the same for all frequencies, the law has no free parameter, and
    the shares themselves are features.
    Blind spots: Colour, since it takes the luma alone, the sign of a coefficient, and the place of a trace. Counts have
    no gradient.
    Example: ``battery.add=[benford]``

    Args:
        steps: of the quantisation, in grey levels of the data.
        bases: in which digits are written, each from 3.
        stride: between blocks, in pixels; 8 in the paper.
        trees, leaves, learning_rate, patience: of the boosting, see ``Trees``.
        keywords: see ``TreeKeywords``. Images have at least 16 pixels a side.
    """

    artefact = "quantisation"

    def __init__(
        self,
        *,
        steps: Annotated[list[PositiveFloat], Field(min_length=1)],
        bases: Annotated[list[Annotated[int, Field(ge=3)]], Field(min_length=1)],
        stride: PositiveInt,
        **keywords: Unpack[TreeKeywords],
    ) -> None:
        super().__init__(**keywords)
        requires(self.resolution >= SMALLEST, f"{SMALLEST} pixels a side")
        self.steps, self.bases, self.stride = tuple(steps), tuple(bases), stride

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Shares and divergences (B, F), float64, of images (B, C, H, W)."""
        with torch.autocast(images.device.type, enabled=False):
            blocks = images.split(max(1, AT_ONCE // images[0].numel()))
            return torch.cat([self._features(block) for block in blocks])

    def _features(self, images: Tensor) -> Tensor:
        """``features`` of one block of images."""
        of_blocks, columns = coefficients(images, self.levels, self.stride), []
        for step in self.steps:
            for base in self.bases:
                counts = digit_counts(of_blocks, base, self.levels, step)
                columns.append((counts / counts.sum(-1, keepdim=True)).flatten(1))
                columns.append(divergences(counts[..., 1:], benford_law(base).to(counts.device)).flatten(1))
        return torch.cat(columns, dim=1).double()
