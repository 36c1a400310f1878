"""Co-occurrence matrices of pixels, under ridge regression or under a network."""

from typing import Annotated, NamedTuple, Unpack

import torch
from pydantic import Field
from torch import Tensor

from arena.detectors.base import FittedDetector, ImageShape, Keywords, NetworkDetector
from arena.detectors.heads import Ridge
from arena.detectors.networks.wrappers import Network

PAIRS = ((0, 1), (0, 2), (1, 2))
"""Pairs of channels: red with green, red with blue, green with blue."""
FLOOR = 1e-4
"""Added to a share before its square root, whose gradient would otherwise be infinite at an empty cell."""


class SoftBins(NamedTuple):
    """The two bins nearest to each value: the lower one, and the share of the value that belongs to the upper one."""

    lower: Tensor
    above: Tensor

    @classmethod
    def of(cls, images: Tensor, bins: int) -> "SoftBins":
        """Bin images in [-1, 1], of any shape. The centres of the bins are evenly spaced from black to white."""
        place = (images.float() + 1) * ((bins - 1) / 2)
        lower = place.detach().floor().clamp(0, bins - 2)
        return cls(lower.long(), place - lower)


def joint(one: SoftBins, other: SoftBins, bins: int) -> Tensor:
    """Joint histogram (B, bins, bins) of pairs of values (B, H, W), each in the four cells about it; it sums to 1."""
    cell = (one.lower * bins + other.lower).flatten(1)
    counts = one.above.new_zeros(len(cell), bins * bins)
    for i, row in enumerate((1 - one.above, one.above)):
        for j, column in enumerate((1 - other.above, other.above)):
            counts = counts.scatter_add(1, cell + (i * bins + j), (row * column).flatten(1))
    return counts.unflatten(1, (bins, bins)) / cell.shape[1]


def cooccurrences(images: Tensor, bins: int) -> Tensor:
    """Joint histograms (B, K, bins, bins), fp32, of images (B, C, H, W) in [-1, 1].

    There is one of each pixel with its right neighbour for every channel. Colour adds one of each two channels at the
    same place. A pair of pixels counts in part in four cells, so that there is a gradient.
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
    """Frequencies of pairs of neighbouring pixels, and of pairs of channels, under ridge regression.

    Paper: Nataraj et al. (2019), "Detecting GAN generated fake images using co-occurrence matrices"; Barni, Kallas,
    Nowroozi & Tondi (2020), across colours.
    Differences: The authors train a network on matrices of 256x256 exact counts (``CooccurrenceCnn``). Here there are
    few bins, soft so that there is a gradient, and the head is linear in square roots of shares (a Hellinger kernel).
    Barni et al. also shift the channels against each other.
    Blind spots: It pairs horizontal neighbours alone: rows in another order have the same matrices.
    Example: ``battery.add=[cooccurrence]``

    Args:
        bins: along either axis of a matrix, 2 to 256.
        shape: of the images; grey images have no pairs of channels.
    """

    differentiable = True
    artefact = "quantisation"

    def __init__(self, *, bins: Annotated[int, Field(ge=2, le=256)], **shape: Unpack[ImageShape]) -> None:
        super().__init__(**shape)
        self.bins, self.head = bins, Ridge(standardised=False)

    def features(self, images: Tensor) -> Tensor:
        """Square roots of the shares, (B, K * bins**2), of images (B, C, H, W)."""
        return (cooccurrences(images, self.bins).flatten(1) + FLOOR).sqrt()


class CooccurrenceCnn(NetworkDetector):
    """A network on the co-occurrence matrices as the channels of an image.

    Paper: Nataraj et al. (2019); Barni, Kallas, Nowroozi & Tondi (2020).
    Differences: Bins are soft. A cell holds its share of pairs times the number of bins, so that the diagonal, where
    neighbours are alike, is about 1 for images of any size.
    Blind spots: Those of ``Cooccurrence``.
    Example: ``battery.add=[paper/cooccurrence]``

    Args:
        bins: along either axis of a matrix, 8 to 256; the papers have 256.
        network: on six matrices of colour images or one of grey images.
    """

    artefact = "quantisation"

    def __init__(
        self, *, bins: Annotated[int, Field(ge=8, le=256)], network: Network, **keywords: Unpack[Keywords]
    ) -> None:
        super().__init__(**keywords)
        self.bins = bins
        self.network = network(channels=self.channels + (len(PAIRS) if self.channels == 3 else 0), side=bins)

    def representation(self, images: Tensor) -> Tensor:
        """Matrices (B, K, bins, bins) of images (B, C, side, side)."""
        return cooccurrences(images, self.bins) * self.bins
