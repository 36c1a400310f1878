"""SRM: the high-pass filters of the rich models before a network."""

import functools
from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from arena.detectors.base import Keywords, NetworkDetector
from arena.detectors.networks.wrappers import Network

DIRECTIONS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""Steps down and across, anticlockwise from the right."""
SQUARE_3 = ((-1, 2, -1), (2, -4, 2), (-1, 2, -1))
SQUARE_5 = ((-1, 2, -2, 2, -1), (2, -6, 8, -6, 2), (-2, 8, -12, 8, -2), (2, -6, 8, -6, 2), (-1, 2, -2, 2, -1))
"""The filter of Ker & Boehme (3x3) and its 5x5 version; the edge filters are their upper halves."""
COLOUR_KERNEL = 24
"""Index of the square 3x3 among the 30."""


def rich_kernels() -> Tensor:
    """Kernels (30, 5, 5): 8 of first order, 4 of second, 8 of third, and 4 edge and 1 square of either size.

    Each is divided by the magnitude of its centre, so that it gives the error of a prediction, in grey levels.
    """
    kernels = [
        *(_line({0: -1, 1: 1}, direction) for direction in DIRECTIONS),
        *(_line({-1: 1, 0: -2, 1: 1}, direction) for direction in DIRECTIONS[:4]),
        *(_line({-1: -1, 0: 3, 1: -3, 2: 1}, direction) for direction in DIRECTIONS),
    ]
    for table in (SQUARE_3, SQUARE_5):
        square = torch.tensor(table, dtype=torch.float32)
        square = F.pad(square, [(5 - len(square)) // 2] * 4)
        edge = square.clone()
        edge[3:] = 0
        kernels += [*(edge.rot90(quarter) for quarter in range(4)), square]
    stacked = torch.stack(kernels)
    return stacked / stacked[:, 2, 2].abs()[:, None, None]


def _line(weights: dict[int, int], direction: tuple[int, int]) -> Tensor:
    """Build a 5x5 kernel of weights at given numbers of steps from its centre."""
    kernel = torch.zeros(5, 5)
    for steps, weight in weights.items():
        kernel[2 + steps * direction[0], 2 + steps * direction[1]] = weight
    return kernel


@functools.lru_cache(maxsize=4)
def _kernels_on(device: torch.device) -> Tensor:
    return rich_kernels()[:, None].to(device)


def rich_residuals(images: Tensor, levels: int) -> Tensor:
    """Residuals (B, 30, H - 4, W - 4), or (B, 32, ...) of three channels, in grey levels of the data.

    The 30 are those of the channels' mean. Colour adds the square 3x3 of red less green, and of blue less their mean,
    which costs little more. All 30 of every channel would cost twice as much.
    """
    with torch.autocast(images.device.type, enabled=False):
        kernels = _kernels_on(images.device)
        planes = images.float() * ((levels - 1) / 2)
        residuals = F.conv2d(planes.mean(1, keepdim=True), kernels)
        if planes.shape[1] == 1:
            return residuals
        red, green, blue = planes.split(1, dim=1)
        square = kernels[COLOUR_KERNEL : COLOUR_KERNEL + 1]
        return torch.cat([residuals, *(F.conv2d(p, square) for p in (red - green, blue - (red + green) / 2))], dim=1)


class Srm(NetworkDetector):
    """A network on the truncated residuals of the rich models; truncation keeps edges from drowning the noise.

    Paper: Fridrich & Kodovsky (2012), the filters; Ye, Ni & Yi (2017), truncation as the first activation of a network.
    Differences: Ye et al. train the kernels further under a deeper network. Here the kernels are fixed.
    Blind spots: Brightness and colour casts, which every kernel cancels, and the size of a residual beyond the
    truncation.
    Example: ``battery.add=[srm]``

    Args:
        truncation: largest magnitude of a residual, in grey levels of the data.
        network: on the residuals divided by ``truncation``.
    """

    artefact = "stripes"

    def __init__(self, *, truncation: PositiveFloat, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.truncation = truncation
        self.network = network(channels=30 if self.channels == 1 else 32, side=self.side - 4)

    def representation(self, images: Tensor) -> Tensor:
        """Truncated residuals (B, 30 or 32, side - 4, side - 4) in [-1, 1] of images (B, C, side, side)."""
        return (rich_residuals(images, self.levels) / self.truncation).clamp(-1, 1)
