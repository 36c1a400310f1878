"""Match the pixel histogram and the mean spectrum of fakes to the reals that trained their generator.

These are baselines without any detector: a fixed map after the network. A response to detectors should gain more than
they do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from arena.imaging.images import on_levels, to_float

Matched = Literal["histogram", "spectrum", "both"]
"""What is matched."""

PART = 256
"""Images mapped at once."""
STEPS = 8
"""Corrections of the filter, each from the spectrum of the images as they are rounded and clipped."""
ORDERED = 2**20
"""Pixels of a channel, at most, that place the ends of the table's ranges."""
LARGEST_GAIN = 10.0
"""Of the filter, at frequencies that the fakes hardly have."""
NEAR = 2.0**-10
"""Weight of the mean of 3x3 pixels beside the pixel's own value, too small to reorder two grey levels."""


@dataclass(frozen=True)
class Matching:
    """A fixed map of images: a linear filter, then a look-up table, channel by channel.

    The filter multiplies the spectrum of ``image - centre`` by ``gain`` and adds ``offset``. It thereby moves along
    the image's own phases. The table gives each pixel the grey level whose range holds it. Pixels are ordered by their
    value. Where values are equal, the mean of the pixels around decides (Coltuc, Bolon & Chassery 2006), so that not
    all pixels of exactly black or white move together.

    Args:
        levels: grey levels of the data.
        centre: (C, 1, 1), mean of the fakes.
        offset: (C, 1, 1), mean that takes its place.
        gain: (C, H, W // 2 + 1), factors of the real transform; None for no filter.
        thresholds: (C, levels - 1), upper ends of the ranges of all levels but white; None to round.
    """

    levels: int
    centre: Tensor
    offset: Tensor
    gain: Tensor | None = None
    thresholds: Tensor | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Map float images (N, C, H, W) in [-1, 1] to images on the grey levels of the data."""
        return torch.cat([self.levelled(self.filtered(part)) for part in images.split(PART)])

    def filtered(self, images: Tensor) -> Tensor:
        """Return float images (N, C, H, W) after the filter, which may leave [-1, 1]."""
        if self.gain is None:
            return images
        spectrum = torch.fft.rfft2(images - self.centre) * self.gain
        return torch.fft.irfft2(spectrum, s=images.shape[-2:]) + self.offset

    def levelled(self, filtered: Tensor) -> Tensor:
        """Return filtered images on the grey levels of the data, by the table or by rounding."""
        if self.thresholds is None:
            return on_levels(filtered, self.levels)
        channels = order(filtered).unbind(1)
        ranks = [
            torch.searchsorted(ends, pixels.contiguous())
            for ends, pixels in zip(self.thresholds, channels, strict=True)
        ]
        return torch.stack(ranks, 1).float().div((self.levels - 1) / 2).sub(1)


def fit_matching(matched: Matched, fakes: Tensor, reals: Tensor, levels: int) -> Matching:
    """Fit the map that gives fakes the histogram, the mean power spectrum, or both, of the reals.

    A spectrum is fitted by steps, since clipping and rounding change it: each step multiplies the gain at every
    frequency by the square root of the power that is still missing (cf. the alternation of Schreiber & Schmitz 1996).
    Of ``both``, the histogram is met exactly and the spectrum as nearly as the table allows.

    Args:
        matched: what to match.
        fakes: float (N, C, H, W) in [-1, 1], of no bank.
        reals: uint8 (M, C, H, W), generator-train.
        levels: grey levels of the data.
    """
    centre, _ = mean_and_power(fakes, levels)
    goal, power = mean_and_power(reals, levels)
    shares = None if matched == "spectrum" else cumulative_shares(reals, levels)
    matching = Matching(levels, centre, goal, None if matched == "histogram" else torch.ones_like(power))
    for step in range(STEPS + 1):
        filtered = matching.filtered(fakes)
        if shares is not None:
            matching = replace(matching, thresholds=_thresholds(filtered, shares))
        if matching.gain is None or step == STEPS:
            break
        mean, found = mean_and_power(matching.levelled(filtered), levels)
        missing = power / found.clamp(min=torch.finfo(found.dtype).tiny)
        gain = (matching.gain * missing.sqrt()).clamp(max=LARGEST_GAIN)
        matching = replace(matching, gain=gain, offset=matching.offset + goal - mean)
    return matching


def mean_and_power(images: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """Return the mean of each channel (C, 1, 1), and its mean power spectrum about that mean (C, H, W // 2 + 1).

    Args:
        images: float (N, C, H, W) in [-1, 1], or uint8 of these grey levels.
        levels: grey levels of the data.
    """
    sums = (part.sum((0, 2, 3), dtype=torch.float64) for part in _parts(images, levels))
    mean = reduce(torch.add, sums).div(images[:, 0].numel()).float()[:, None, None]
    spectra = (torch.fft.rfft2(part - mean).abs().square() for part in _parts(images, levels))
    power = reduce(torch.add, (spectrum.sum(0, dtype=torch.float64) for spectrum in spectra))
    return mean, power.div(len(images)).float()


def cumulative_shares(images_uint8: Tensor, levels: int) -> Tensor:
    """Return the share of each channel's pixels that lie at a grey level or below it: float64 (C, levels)."""
    ranks = (part.add(1).mul((levels - 1) / 2).round().long() for part in _parts(images_uint8, levels))
    counts = (
        torch.stack([torch.bincount(channel.flatten(), minlength=levels) for channel in part.unbind(1)])
        for part in ranks
    )
    return reduce(torch.add, counts).cumsum(1).double() / images_uint8[:, 0].numel()


def order(images: Tensor) -> Tensor:
    """Return what orders the pixels of images (N, C, H, W): float64, the value and a trace of the mean around it."""
    exact = images.double()
    return exact + NEAR * F.avg_pool2d(F.pad(exact, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def _thresholds(images: Tensor, shares: Tensor) -> Tensor:
    """Return the ends (C, levels - 1) of the ranges in which the given shares of the pixels lie.

    Where equal pixels straddle an end, they go together to the side that leaves the smaller error.
    """
    ends = []
    for pixels, share in zip(order(images).unbind(1), shares[:, :-1], strict=True):
        stride = (pixels.numel() - 1) // ORDERED | 1  # odd, so that all rows and columns have their turn
        ordered = torch.from_numpy(np.sort(pixels.flatten()[::stride].numpy()))  # torch takes six times as long
        below = (share * len(ordered)).round().long()
        value = ordered[below.clamp(max=len(ordered) - 1)]
        low, high = torch.searchsorted(ordered, value), torch.searchsorted(ordered, value, right=True)
        below = torch.where(below - low < high - below, low, high)
        infinity = torch.full((1,), torch.inf, dtype=ordered.dtype)
        padded = torch.cat([-infinity, ordered, infinity])
        ends.append((padded[below] + padded[below + 1]) / 2)
    return torch.stack(ends)


def _parts(images: Tensor, levels: int) -> Iterator[Tensor]:
    """Yield images in parts, float and, where they were uint8, exactly on the grey levels."""
    return (part if part.is_floating_point() else on_levels(to_float(part), levels) for part in images.split(PART))
