"""A network that learns nothing."""

import copy
from typing import Self

from torch import Tensor, nn


class Frozen(nn.Module):
    """A copy of a network, its weights without gradients, in eval mode whatever mode its detector is put in.

    In eval mode batch normalisation uses its running statistics, so that an image does not depend on its batch.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the network makes of it; gradients reach the inputs."""
        return self.network(*inputs)
