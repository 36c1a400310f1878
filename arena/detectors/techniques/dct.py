"""The log-scaled discrete cosine transform."""

import functools
import math
from typing import Unpack

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from arena.detectors.base import Keywords, NetworkDetector
from arena.detectors.networks.wrappers import Network, Standardised
from arena.detectors.shared import shared


def dct_matrix(n: int) -> Tensor:
    """Orthonormal DCT-II matrix (n, n): ``D @ x`` transforms a column; equals scipy.fft.dct(norm="ortho")."""
    k, i = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)[None]
    matrix = torch.cos(math.pi / n * (i + 0.5) * k) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    return matrix.float()


@functools.lru_cache(maxsize=16)
def _matrix_on(n: int, device: torch.device) -> Tensor:
    return dct_matrix(n).to(device)


@shared
def dct(images: Tensor) -> Tensor:
    """Orthonormal DCT (B, C, H, W) of images (B, C, H, W), fp32."""
    with torch.autocast(images.device.type, enabled=False):
        down, across = (_matrix_on(extent, images.device) for extent in images.shape[-2:])
        return down @ images.float() @ across.T


class Dct(NetworkDetector):
    """A classifier on the log magnitude of every DCT coefficient, where up-sampling leaves a grid of peaks.

    Paper: Frank, Eisenhofer, Schoenherr, Fischer, Kolossa & Holz (2020), "Leveraging frequency analysis for deep fake
    image recognition".
    Differences: Without a network it is a logistic regression whose penalty is the optimizer's weight decay, where the
    paper has ridge regression. With ``FrankNetwork`` it is the paper's small CNN. The authors add 1e-12 before the
    logarithm; its gradient explodes on the exact zeros of images with few grey levels.
    Blind spots: The sign of a coefficient, and so the place of a pattern.
    Example: ``battery.add=[dct,dct_cnn]``

    Args:
        epsilon: added to the magnitude before the logarithm; 1e-3 is far below one grey level of 256.
        network: on the coefficients; None (default) for a linear classifier.
    """

    artefact = "checkerboard"

    def __init__(self, *, epsilon: PositiveFloat, network: Network | None = None, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.epsilon = epsilon
        shape = (self.channels, self.side, self.side)
        self.network = Standardised(
            _linear(shape) if network is None else network(channels=self.channels, side=self.side), shape
        )

    def representation(self, images: Tensor) -> Tensor:
        """Log magnitude (B, C, H, W) of the DCT of images (B, C, H, W), fp32: bf16 has no meaning near 0."""
        with torch.autocast(images.device.type, enabled=False):
            return torch.log(dct(images).abs() + self.epsilon)


def _linear(shape: tuple[int, int, int]) -> nn.Module:
    """Build a weighted sum of features (B, *shape) that at first prefers neither class."""
    linear = nn.Linear(math.prod(shape), 1)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.Flatten(1), linear, nn.Flatten(0))
