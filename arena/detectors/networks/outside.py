"""A frozen network that others trained, kept out of what is saved of a detector."""

from typing import Any

import torch
from torch import Tensor, nn

from arena.errors import ArenaError


class Outside(nn.Module):
    """Holds a network of which only the hash of its files is among a detector's tensors.

    A race saves every detector of every round, and all of them would hold the same weights, of a gigabyte each where
    the network is large. The run's configuration names their files; the hash says whether these are still the same.

    Args:
        network: frozen, in eval mode; many detectors may hold the same one.
        fingerprint: SHA-256 (hex) of the files it came from.
        key: of the configuration that names them.
    """

    fingerprint: Tensor

    def __init__(self, network: nn.Module, fingerprint: str, key: str) -> None:
        super().__init__()
        self.held, self.key = (network,), key  # in a tuple, where a module does not look for modules
        self.register_buffer("fingerprint", torch.tensor(list(bytes.fromhex(fingerprint)), dtype=torch.uint8))

    def forward(self, images: Tensor) -> Tensor:
        """What the network makes of images, in fp32 and where they are; gradients reach them."""
        with torch.autocast(images.device.type, enabled=False):
            return self.held[0].to(images.device)(images.float())

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Refuse to be a detector that looked through another network."""
        saved = state_dict.get(f"{prefix}fingerprint")
        if saved is not None and not torch.equal(saved.cpu(), self.fingerprint.cpu()):
            raise ArenaError(f"{self.key}: expected the files this detector was trained with, found others")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
