"""A network that learns nothing."""

from typing import Self

from torch import Tensor, nn


class Frozen(nn.Module):
    """Holds a network, its weights without gradients, in eval mode whatever mode its detector is put in.

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
        """What the network makes of images (B, C, H, W); gradients reach them."""
        return self.network(images)
