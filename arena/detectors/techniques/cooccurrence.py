"""Co-occurrences of pixels (Nataraj et al. 2019) and across colours (Barni, Kallas, Nowroozi & Tondi 2020)."""

from typing import NamedTuple

import torch
from torch import Tensor

from arena.core.errors import require
from arena.detectors.base import FittedDetector
from arena.detectors.heads.linear import Ridge

PAIRS = ((0, 1), (0, 2), (1, 2))
"""Of the channels: red with green, red with blue, green with blue."""
FLOOR = 1e-4
"""Added to a share before its square root, whose gradient would else be infinite at an empty cell."""


class SoftBins(NamedTuple):
    """The two bins about each value: the lower one, and how far the value belongs to the one above."""

    lower: Tensor
    above: Tensor

    @classmethod
    def of(cls, images: Tensor, bins: int) -> "SoftBins":
        """Of images in [-1, 1], of any shape; the centres of the bins lie evenly from black to white."""
        place = (images.float() + 1) * ((bins - 1) / 2)
        lower = place.detach().floor().clamp(0, bins - 2)
        return cls(lower.long(), place - lower)


def joint(one: SoftBins, other: SoftBins, bins: int) -> Tensor:
    """Shares (B, bins, bins) of pairs of values (B, H, W), each pair in the four cells about it; they sum to 1."""
    cell = (one.lower * bins + other.lower).flatten(1)
    counts = one.above.new_zeros(len(cell), bins * bins)
    for i, its in enumerate((1 - one.above, one.above)):
        for j, others in enumerate((1 - other.above, other.above)):
            counts = counts.scatter_add(1, cell + (i * bins + j), (its * others).flatten(1))
    return counts.unflatten(1, (bins, bins)) / cell.shape[1]


def cooccurrences(images: Tensor, bins: int) -> Tensor:
    """Joint histograms (B, K, bins, bins), fp32, of images (B, C, H, W) in [-1, 1].

    Of each pixel with its right neighbour for every channel (Nataraj et al.), and of each two channels at the same
    place (Barni et al., who shift them against each other too). A pixel belongs in part to the two bins about it, and a
    pair to four, so that there is a gradient; the authors count exact values.
    """
    with torch.autocast(images.device.type, enabled=False):
        channels = [SoftBins.of(channel, bins) for channel in images.unbind(1)]
        left = [SoftBins(c.lower[..., :-1], c.above[..., :-1]) for c in channels]
        right = [SoftBins(c.lower[..., 1:], c.above[..., 1:]) for c in channels]
        pairs = [*zip(left, right, strict=True)]
        if len(channels) == 3:
            pairs += [(channels[i], channels[j]) for i, j in PAIRS]
        return torch.stack([joint(one, other, bins) for one, other in pairs], 1)


class Cooccurrence(FittedDetector):
    """Which brightnesses stand side by side in each channel, and which share a place in two.

    Few bins, and ridge regression on the square roots of their shares (a Hellinger kernel), where the authors learn a
    convolutional network of 256 by 256 cells: that is ``CooccurrenceCnn``.

    Args:
        resolution, channels, levels: of the images; grey images have no pairs of channels.
        bins: along either axis of a histogram.
    """

    differentiable = True
    artefact = "checkerboard"

    def __init__(self, *, resolution: int, channels: int, levels: int, bins: int) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(2 <= bins <= 256, "bins", bins, "2 to 256")
        self.bins, self.head = bins, Ridge(standardised=False)

    def features(self, images: Tensor) -> Tensor:
        """Square roots of the shares, (B, K * bins**2), of images (B, C, H, W)."""
        return (cooccurrences(images, self.bins).flatten(1) + FLOOR).sqrt()
