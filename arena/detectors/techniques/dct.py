"""The log-scaled discrete cosine transform under a linear classifier (Frank, Eisenhofer, Schoenherr et al. 2020)."""

import functools
import math
from typing import Unpack

import torch
from torch import Tensor, nn

from arena.core.errors import require
from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import Network, Standardised
from arena.detectors.shared import shared


def dct_matrix(n: int) -> Tensor:
    """The orthonormal DCT-II as a matrix (n, n): ``D @ x`` transforms a column; equals scipy.fft.dct(norm="ortho")."""
    k, i = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)[None]
    matrix = torch.cos(math.pi / n * (i + 0.5) * k) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    return matrix.float()


@shared
def dct(images: Tensor) -> Tensor:
    """The orthonormal DCT (B, C, H, W) of images (B, C, H, W), fp32."""
    with torch.autocast(images.device.type, enabled=False):
        down, across = (_matrix_on(extent, images.device) for extent in images.shape[-2:])
        return down @ images.float() @ across.T


def log_dct(images: Tensor, epsilon: float) -> Tensor:
    """Log magnitude (B, C, H, W) of the DCT of images (B, C, H, W), fp32: near 0 it has no meaning in bf16."""
    with torch.autocast(images.device.type, enabled=False):
        return torch.log(dct(images).abs() + epsilon)


@functools.lru_cache(maxsize=16)
def _matrix_on(n: int, device: torch.device) -> Tensor:
    return dct_matrix(n).to(device)


class Dct(LearnedDetector):
    """A classifier on the log magnitude of every DCT coefficient of every channel, standardised over the training set.

    Without a network it is linear, a logistic regression whose penalty is the optimizer's weight decay, where
    the paper has a ridge regression. With one it is the paper's small convolutional network.

    Args:
        epsilon: added to the magnitude before the logarithm. Frank et al. use 1e-12, whose gradient explodes on the
            exact zeros of images with few grey levels; 1e-3 is far below one grey level of 256.
        network: on the coefficients, None for a linear classifier.
        keywords: those of ``LearnedDetector``.
    """

    artefact = "checkerboard"

    def __init__(self, *, epsilon: float, network: Network | None = None, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        require(epsilon > 0, "epsilon", epsilon, "above 0")
        self.epsilon = epsilon
        shape = (self.channels, self.side, self.side)
        self.network = Standardised(
            _linear(shape) if network is None else network(channels=self.channels, side=self.side), shape
        )

    def prepare(self, images: Tensor) -> None:
        """Mean and deviation of each coefficient over the training images."""
        self.network.measure(log_dct(images, self.epsilon))

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.network(log_dct(images, self.epsilon))


def _linear(shape: tuple[int, int, int]) -> nn.Module:
    """A weighted sum of features (B, *shape), which at first prefers neither class."""
    linear = nn.Linear(math.prod(shape), 1)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.Flatten(1), linear, nn.Flatten(0))
