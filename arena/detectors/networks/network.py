"""What a technique asks of the network under it."""

from typing import Protocol

from torch import nn


class Network(Protocol):
    """Builds a network of (B, channels, side, side) to logits (B,): what Hydra's ``_partial_`` leaves open."""

    def __call__(self, *, channels: int, side: int) -> nn.Module:
        """Build it for planes of that many channels and that side in pixels."""
        ...
