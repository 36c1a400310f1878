"""Co-occurrences of pixels (Nataraj et al. 2019) and across colours (Barni, Kallas, Nowroozi & Tondi 2020)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.config import require
from arena.detectors.detector import FittedDetector
from arena.detectors.heads.linear import Ridge

PAIRS = ((0, 1), (0, 2), (1, 2))
"""Of the channels: red with green, red with blue, green with blue."""
FLOOR = 1e-4
"""Added to a share before its square root, whose gradient would else be infinite at an empty cell."""
AT_ONCE = 1 << 21
"""Numbers held at once, so that they fit a processor's cache."""


def soft_bins(images: Tensor, bins: int) -> Tensor:
    """How far each pixel belongs to each bin, (B, C, bins, H, W): to the two about it, and to both together 1.

    Args:
        images: (B, C, H, W) in [-1, 1].
        bins: their centres lie evenly from black to white.
    """
    place = (images.float() + 1) * ((bins - 1) / 2)
    centres = torch.arange(bins, device=images.device)[:, None, None]
    return F.relu(1 - (place[:, :, None] - centres).abs())


def shares(one: Tensor, other: Tensor) -> Tensor:
    """Shares (B, bins, bins) of pairs of places, each in its bins (B, bins, H, W); they sum to 1."""
    one, other = one.flatten(2), other.flatten(2)
    return one @ other.mT / one.shape[2]


class Cooccurrence(FittedDetector):
    """Which brightnesses stand side by side in each channel, and which share a place in two.

    A joint histogram of each pixel with its right neighbour for every channel (Nataraj et al.), and of each two
    channels at the same place (Barni et al., who shift them against each other too). A pixel belongs in part to the two
    bins about it, and a pair to four, so that there is a gradient; the authors count exact values in 256 by 256 cells
    and learn a convolutional network of them. Here are few bins, and ridge regression on the square roots of the shares
    (a Hellinger kernel).

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
        """Square roots of the shares, (B, histograms * bins**2), of images (B, C, H, W)."""
        at_once = max(1, AT_ONCE // (self.bins * images[0].numel()))
        with torch.autocast(images.device.type, enabled=False):
            return torch.cat([self._of(block) for block in images.split(at_once)])

    def _of(self, images: Tensor) -> Tensor:
        channels = soft_bins(images, self.bins).unbind(1)
        found = [shares(channel[..., :-1], channel[..., 1:]) for channel in channels]
        if len(channels) == 3:
            found += [shares(channels[i], channels[j]) for i, j in PAIRS]
        return (torch.stack(found, 1).flatten(1) + FLOOR).sqrt()
