"""A constrained first convolution, which can only learn to predict a pixel's error (Bayar & Stamm 2016, 2018)."""

from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.core.errors import require
from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import Network, Standardised


class ConstrainedConvolution(nn.Module):
    """Kernels of -1 in the centre whose other weights sum to 1: a pixel as predicted from its neighbours, less itself.

    The constraint holds of every kernel of every input channel, at every step. The authors divide by the sum after each
    step, which has no bound where the sum nears 0; here free weights are projected orthogonally onto the same kernels,
    and learning sees the projection.

    Args:
        inputs: channels of the image.
        filters: kernels.
        size: side of a kernel, odd.
    """

    centre: Tensor

    def __init__(self, inputs: int, filters: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(filters, inputs, size, size))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        centre = torch.zeros(size, size)
        centre[size // 2, size // 2] = 1
        self.register_buffer("centre", centre, persistent=False)

    def kernels(self) -> Tensor:
        """The constrained kernels (filters, inputs, size, size)."""
        others = 1 - self.centre
        free = self.weight * others
        return free + others * (1 - free.sum((2, 3), keepdim=True)) / others.sum() - self.centre

    def forward(self, images: Tensor) -> Tensor:
        """Prediction errors (B, filters, H - size + 1, W - size + 1) of images (B, inputs, H, W)."""
        return F.conv2d(images, self.kernels())


class Bayar(LearnedDetector):
    """A constrained convolution and a network on its prediction errors.

    The paper of 2018 has 3 filters of 5x5 pixels under a network of four convolutions and three dense layers; the
    default network is the residual one of the other techniques, and the errors are standardised as they are before the
    first step.

    Args:
        filters: constrained kernels.
        size: side of a kernel in pixels, odd.
        network: on the prediction errors.
        keywords: those of ``LearnedDetector``.
    """

    artefact = "checkerboard"

    def __init__(self, *, filters: int, size: int, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        require(filters >= 1, "filters", filters, "at least 1")
        possible = size % 2 == 1 and 3 <= size <= self.side - 3
        require(possible, "size", size, f"an odd number of pixels, 3 to {self.side - 3}")
        self.constrained = ConstrainedConvolution(self.channels, filters, size)
        self.network = Standardised(network(channels=filters, side=self.side - size + 1), (filters, 1, 1))

    def prepare(self, images: Tensor) -> None:
        """Mean and deviation of the prediction errors over the training images."""
        with torch.no_grad():
            self.network.measure(self.constrained(images))

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.network(self.constrained(images))
