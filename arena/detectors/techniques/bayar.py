"""A constrained first convolution."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from arena.core.errors import require
from arena.detectors.base import Keywords, NetworkDetector
from arena.detectors.networks.wrappers import Network, Standardised


class ConstrainedConvolution(nn.Module):
    """Kernels with -1 in the centre and other weights that sum to 1: a prediction from the neighbours, less the pixel.

    The constraint holds for every kernel of every input channel at every step. Free weights are projected orthogonally
    onto such kernels, and gradients flow through the projection. The size, an odd number, is the side of a kernel.
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
        """Constrained kernels (filters, inputs, size, size)."""
        others = 1 - self.centre
        free = self.weight * others
        return free + others * (1 - free.sum((2, 3), keepdim=True)) / others.sum() - self.centre

    def forward(self, images: Tensor) -> Tensor:
        """Prediction errors (B, filters, H - size + 1, W - size + 1) of images (B, inputs, H, W)."""
        return F.conv2d(images, self.kernels())


class Bayar(NetworkDetector):
    """A first convolution that can only learn to predict a pixel from its neighbours, and a network on its errors.

    Paper: Bayar & Stamm (2016, 2018), "Constrained convolutional neural networks".
    Differences: The authors divide the kernel by its sum after each step, which diverges where the sum nears 0. Here
    kernels are projected. The paper has 3 filters of 5x5 under four convolutions and three dense layers; the default
    network is a small residual one, on standardised errors.
    Blind spots: Brightness and colour casts, which every kernel cancels, and all that neighbours predict.
    Example: ``battery.add=[bayar]``

    Args:
        filters: number of constrained kernels.
        size: side of a kernel in pixels, odd.
        network: on the prediction errors.
    """

    artefact = "stripes"

    def __init__(self, *, filters: PositiveInt, size: int, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        possible = size % 2 == 1 and 3 <= size <= self.side - 3
        require(possible, "size", size, f"an odd number of pixels, 3 to {self.side - 3}")
        self.constrained = ConstrainedConvolution(self.channels, filters, size)
        self.network = Standardised(network(channels=filters, side=self.side - size + 1), (filters, 1, 1))

    def representation(self, images: Tensor) -> Tensor:
        """Prediction errors (B, filters, side - size + 1, side - size + 1) of images (B, C, side, side)."""
        return self.constrained(images)
