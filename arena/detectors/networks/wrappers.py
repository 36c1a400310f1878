"""Types of the networks under a technique, and a network on standardised features."""

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor, nn


class Network(Protocol):
    """Factory of a network from (B, channels, side, side) to logits (B,), as Hydra's ``_partial_`` leaves it."""

    def __call__(self, *, channels: int, side: int) -> nn.Module:
        """Build the network for inputs of that many channels and that side in pixels."""
        ...


class Trunk(nn.Module, ABC):
    """Feature maps of images at several depths, each no larger than the one before."""

    widths: tuple[int, ...]
    """Channels of each map."""

    @abstractmethod
    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps (B, width, h, w) of x (B, channels, side, side), one for each of ``widths``."""


class TrunkFactory(Protocol):
    """Factory of a trunk, as Hydra's ``_partial_`` leaves it."""

    def __call__(self, *, channels: int, side: int) -> Trunk:
        """Build the trunk for inputs of that many channels and that side in pixels."""
        ...


DEVIATION_FLOOR = 1e-3
"""Least deviation: a feature that hardly varies over the training images is not blown up."""


class Standardised(nn.Module):
    """A network on standardised features.

    A residual leaves a few grey levels of an image. A network that begins without a normalisation would hardly see them
    beside its own biases.

    Args:
        network: features (B, C, H, W) to logits (B,).
        shape: of mean and deviation: (C, H, W) for one of each feature, (C, 1, 1) for one of each channel.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))

    @torch.no_grad()
    def measure(self, features: Tensor) -> None:
        """Set mean and deviation to those of features (N, C, H, W) of training images."""
        over = [0, *(k + 1 for k, extent in enumerate(self.mean.shape) if extent == 1)]
        self.mean.copy_(features.mean(over, keepdim=True)[0])
        self.deviation.copy_(features.std(over, keepdim=True)[0].clamp_min(DEVIATION_FLOOR))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, C, H, W)."""
        return self.network((features - self.mean) / self.deviation)
