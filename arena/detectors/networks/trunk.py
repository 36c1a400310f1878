"""A network without its head: what techniques that look at maps of features ask for."""

from abc import ABC, abstractmethod
from typing import Protocol

from torch import Tensor, nn


class Trunk(nn.Module, ABC):
    """Images to maps of features at several depths, each no larger than the one before."""

    widths: tuple[int, ...]
    """Channels of each map."""

    @abstractmethod
    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps (B, width, h, w) of x (B, channels, side, side), as many as ``widths``."""


class TrunkFactory(Protocol):
    """Builds a trunk: what Hydra's ``_partial_`` leaves open."""

    def __call__(self, *, channels: int, side: int) -> Trunk:
        """Build it for planes of that many channels and that side in pixels."""
        ...
