"""Networks under a technique: their types, on standardised features, frozen, or not saved."""

from abc import ABC, abstractmethod
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from arena.core.errors import ArenaError


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

    def standardised(self, features: Tensor) -> Tensor:
        """Features (B, C, H, W), less their mean and over their deviation: the input of the network."""
        return (features - self.mean) / self.deviation

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, C, H, W)."""
        return self.network(self.standardised(features))


class FrozenNetwork(nn.Module):
    """A network with frozen weights that stays in eval mode, even when its detector is in training mode.

    In eval mode batch normalisation uses its running statistics, so that an image does not depend on its batch.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Output of the network on images (B, C, H, W); gradients reach them."""
        return self.network(images)


class UnsavedNetwork(nn.Module):
    """A network whose weights are not saved with the detector: the hash of its files stands for them.

    A race saves every detector of every round, and a large network would be saved again with each. The run's
    configuration names the files, and the hash tells whether they are still the same.

    Args:
        network: frozen, in eval mode. Many detectors may hold the same one.
        fingerprint: SHA-256 (hex) of its files, which the key ``path`` names.
    """

    fingerprint: Tensor

    def __init__(self, network: nn.Module, fingerprint: str) -> None:
        super().__init__()
        self.held = (network,)  # a module does not look for modules in a tuple
        self.register_buffer("fingerprint", torch.tensor(list(bytes.fromhex(fingerprint)), dtype=torch.uint8))

    def forward(self, images: Tensor) -> Tensor:
        """Output of the network in fp32, on the device of the images; gradients reach them."""
        with torch.autocast(images.device.type, enabled=False):
            return self.held[0].to(images.device)(images.float())

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Refuse tensors that were saved with other files."""
        saved = state_dict.get(f"{prefix}fingerprint")
        if saved is not None and not torch.equal(saved.cpu(), self.fingerprint.cpu()):
            raise ArenaError("path: expected the files this detector was trained with, found others")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
