"""Layers with an equalised learning rate, and the sizes of networks that grow by doubling."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.errors import ArenaError
from arena.generators.convolution import conv2d

SLOPE = 0.2
# Gain that keeps the second moment through a leaky ReLU (He et al. 2015, equation 15). It sits in the weights, where it
# costs nothing, instead of in a product with every activation.
LRELU_GAIN = math.sqrt(2 / (1 + SLOPE**2))
SMALLEST, LARGEST = 8, 256


def lrelu(images: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2; its gain is in the weights before it."""
    return F.leaky_relu(images, SLOPE)


def doublings(resolution: int) -> int:
    """How often 4 pixels double to reach ``resolution``.

    Raises:
        ArenaError: for anything but a power of two from 8 to 256.
    """
    if not SMALLEST <= resolution <= LARGEST or resolution & (resolution - 1):
        raise ArenaError(
            f"data.resolution={resolution}: a resolution the generator cannot make, "
            f"expected a power of two from {SMALLEST} to {LARGEST}"
        )
    return resolution.bit_length() - 3


def channels_at(resolution: int, width: int) -> int:
    """Channels of a layer at ``resolution``: ``width`` up to 16 pixels, then halved with every doubling, at least 8."""
    return max(min(width, width * 16 // resolution), min(width, 8))


class EqualisedLinear(nn.Module):
    """Linear layer whose weights are N(0, 1) / multiplier and are scaled at run time (Karras et al. 2018, section 4.1).

    Under Adam every weight then learns at the same relative speed, whatever its fan-in; ``multiplier`` slows a layer
    down.

    Args:
        inputs: size of the input (B, inputs).
        outputs: size of the output (B, outputs).
        gain: of the activation that follows (``LRELU_GAIN``), or 1.
        bias: value the bias starts from.
        multiplier: of the learning rate.
    """

    def __init__(
        self, inputs: int, outputs: int, *, gain: float = 1.0, bias: float = 0.0, multiplier: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / multiplier))
        self.scale, self.multiplier = gain * multiplier / math.sqrt(inputs), multiplier

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        bias = self.bias if self.multiplier == 1 else self.bias * self.multiplier
        return F.linear(x, self.weight * self.scale, bias)


class EqualisedConv(nn.Module):
    """Convolution that keeps the size, with an equalised learning rate.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side of the kernel in pixels, odd.
        gain: of the activation that follows.
        bias: whether it has one.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, gain: float = 1.0, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W)."""
        return conv2d(x, self.weight * self.scale, self.bias, padding=self.weight.shape[-1] // 2)
