"""Features brought to mean 0 and deviation 1 over the training images, and the network under them."""

import torch
from torch import Tensor, nn

FLOOR = 1e-3
"""Least deviation: what hardly varies over the training images is not blown up."""


class Standardised(nn.Module):
    """A network that sees standardised features.

    What residuals leave of an image is a few grey levels: a network that begins without a normalisation would hardly
    see them beside its own offsets.

    Args:
        network: of features (B, C, H, W) to logits (B,).
        shape: of the mean and the deviation: (C, H, W) for one of each feature, (C, 1, 1) for one of each plane.
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
        """Take mean and deviation over features (N, C, H, W) of training images; until then nothing is changed."""
        over = [0, *(k + 1 for k, extent in enumerate(self.mean.shape) if extent == 1)]
        self.mean.copy_(features.mean(over, keepdim=True)[0])
        self.deviation.copy_(features.std(over, keepdim=True)[0].clamp_min(FLOOR))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, C, H, W)."""
        return self.network((features - self.mean) / self.deviation)
