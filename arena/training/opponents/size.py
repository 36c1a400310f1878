"""Bring gradients of different detectors to one size, so that none of them pulls by the scale of its logits."""

from collections.abc import Mapping

import torch
from torch import Tensor

DECAY = 0.99
"""Weight of the size so far in the next one."""
TINY = 1e-12


def size_of(gradient: Tensor) -> Tensor:
    """Return the root mean square (scalar)."""
    return gradient.float().square().mean().sqrt()


def smoothed(scale: Tensor, size: Tensor) -> Tensor:
    """Return the smoothed size (scalar). The first one, where ``scale`` is 0, is taken as it is."""
    return torch.where(scale == 0, size, DECAY * scale + (1 - DECAY) * size)


def pull_of_equal_size(gradient: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Divide a gradient by its size, smoothed over steps and at least that of this step.

    This is the adaptive weight of VQGAN's discriminator (Esser et al. 2021), taken at the image.

    Args:
        gradient: (B, C, H, W).
        scale: the smoothed size so far (scalar).

    Returns:
        The gradient, of size 1 or less, and the smoothed size.
    """
    size = size_of(gradient)
    scale = smoothed(scale, size)
    return gradient / torch.maximum(scale, size).clamp_min(TINY), scale


class JointPull:
    """Brings the sum of several pulls to a size in units of the discriminator's own gradient.

    Pulls in different directions cancel in part, the more so the more there are. The sum is therefore scaled again.

    Args:
        strength: size of the sum where the shares of all pulls sum to 1.
        device: of the gradients.
    """

    def __init__(self, strength: float, device: torch.device) -> None:
        self.strength = strength
        self.own, self.sum = torch.zeros((), device=device), torch.zeros((), device=device)
        """Smoothed sizes of the discriminator's gradient and of the sum."""

    def __call__(self, pulls: Tensor, share: Tensor, own: Tensor) -> Tensor:
        """Return what is added to the discriminator's gradient.

        Args:
            pulls: (B, C, H, W), sum of the pulls by their shares.
            share: sum of the shares, at most 1.
            own: (B, C, H, W), the discriminator's gradient at the fakes.
        """
        self.own = smoothed(self.own, size_of(own))
        direction, self.sum = pull_of_equal_size(pulls / share.clamp_min(TINY), self.sum)
        return self.strength * self.own * share * direction

    def state(self) -> dict[str, Tensor]:
        """Return the smoothed sizes."""
        return {"own": self.own, "sum": self.sum}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return to a saved state."""
        self.own, self.sum = state["own"].to(self.own.device), state["sum"].to(self.sum.device)
