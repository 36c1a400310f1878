"""Synthbuster: peaks of the spectrum of a residual at the periods of up-sampling."""

from typing import Annotated, Unpack

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from arena.core.errors import require
from arena.detectors.trees import BoostedDetector, TreeKeywords


def cross_difference(pixels: Tensor) -> Tensor:
    """Magnitude (..., H - 1, W - 1) of the sum of one diagonal less that of the other, in each 2x2 square of pixels."""
    return (pixels[..., 1:, 1:] + pixels[..., :-1, :-1] - pixels[..., 1:, :-1] - pixels[..., :-1, 1:]).abs()


def harmonics(residual: Tensor, side: int, period: int) -> Tensor:
    """Magnitudes (B, C, period, period // 2 + 1) of the spectrum of a residual at multiples of 1 / period.

    A transform of ``side`` cells has these frequencies among its own. They are all that remain of it if the residual is
    first folded to one period, which costs less.

    Args:
        residual: (B, C, h, w), float64, at least ``period`` a side.
        side: of the transform, a multiple of ``period``. What the residual has beyond it is cut off. What it lacks is
            filled with its mean.
        period: the longest, in pixels, even.

    Returns:
        Means over the cells, by vertical and by horizontal frequency, from zero frequency. That at zero frequency is
        the mean of the residual, and at the others the mean has no part.
    """
    mean = residual.mean((2, 3), keepdim=True)
    centred = (residual - mean)[..., :side, :side]
    centred = F.pad(centred, (0, side - centred.shape[-1], 0, side - centred.shape[-2]))
    folded = centred.unflatten(3, (-1, period)).unflatten(2, (-1, period)).sum((2, 4))
    magnitudes = torch.fft.rfft2(folded).abs() / side**2
    magnitudes[..., 0, 0] = mean[..., 0, 0]
    return magnitudes


class Synthbuster(BoostedDetector):
    """Generators leave periodic traces: boosted trees on the spectrum of the cross-difference at periods of 2, 4 and 8.

    The cross-difference of neighbours suppresses content, and its magnitude keeps what recurs. Of its Fourier transform
    in each channel only the multiples of an eighth of the sampling rate are kept, on either axis.

    Paper: Bammey (2023), "Synthbuster: Towards detection of diffusion model generated images".
    Differences: Of the author's 45 magnitudes of a channel, 40 remain, since he counts the frequencies -1/2 and 1/2 of
    the vertical axis twice. He cuts the residual to a whole number of periods. Here the one or two rows and columns
    that it lacks are filled with its mean, so that an 8x8 image has one period. The trees stop on validation, with the
    sizes of ``forest``. There is no JPEG in training.
    Blind spots: Traces of other periods, traces in low frequencies, and phases. Trees have no gradient.
    Example: ``battery.add=[synthbuster]``

    Args:
        period: the longest, in pixels, even: 8 as in the paper, or 16 as in the author's later models.
        trees, leaves, learning_rate, patience: of the boosting, see ``Trees``.
        keywords: see ``TreeKeywords``. Images have at least ``period`` pixels a side.
    """

    artefact = "checkerboard"
    soft = True

    def __init__(self, *, period: Annotated[int, Field(ge=2, multiple_of=2)], **keywords: Unpack[TreeKeywords]) -> None:
        super().__init__(**keywords)
        require(period <= self.resolution, "period", period, f"at most the side of {self.resolution} pixels")
        self.period, self.side = period, self.resolution // period * period

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Magnitudes (B, F), float64, in grey levels, of images (B, C, H, W)."""
        return self.soft_features(images)

    def soft_features(self, images: Tensor) -> Tensor:
        """Magnitudes (B, F) of images (B, C, H, W), with a gradient."""
        with torch.autocast(images.device.type, enabled=False):
            residual = cross_difference(images.double()) * ((self.levels - 1) / 2)
            return harmonics(residual, self.side, self.period).flatten(1)
