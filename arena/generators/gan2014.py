"""Fully connected GAN, after Goodfellow et al. 2014."""

from typing import Unpack

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.generators.base import TrainableGenerator, TrainableShape
from arena.generators.layers import logits
from arena.generators.output import Output, OutputLayer


class Gan2014Generator(TrainableGenerator):
    """z -> two hidden layers of rectified units -> pixels. The paper's pixels end in a sigmoid.

    Args:
        width: of the hidden layers (1,200 in the paper's code).
        z_dim: size of z (100 in the paper's code).
        learning_rate: of Adam (the paper used momentum).
        output: form of the last layer, see ``OutputLayer``.
        shape: see ``TrainableShape``.
    """

    def __init__(
        self,
        *,
        width: PositiveInt = 512,
        z_dim: PositiveInt = 100,
        learning_rate: PositiveFloat = 2e-4,
        output: Output = "scaled_tanh",
        **shape: Unpack[TrainableShape],
    ) -> None:
        super().__init__(**shape)
        self.width, self.z_dim, self.learning_rate = width, z_dim, learning_rate
        self.layers = nn.Sequential(
            nn.Linear(z_dim, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, self.channels * self.resolution**2),
            OutputLayer(output),
        )

    def discriminator(self, resolution: int) -> "MaxoutDiscriminator":
        """Return two maxout layers, half as wide as the generator's."""
        return MaxoutDiscriminator(resolution=resolution, channels=self.channels, width=max(1, self.width // 2))

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return images of z (B, z_dim). Nothing else is random."""
        return self.layers(z).unflatten(1, (self.channels, self.resolution, self.resolution))


class Maxout(nn.Module):
    """Largest of ``pieces`` linear maps, unit by unit (Goodfellow et al. 2013, equation 1)."""

    def __init__(self, inputs: int, outputs: int, pieces: int) -> None:
        super().__init__()
        self.linear, self.pieces = nn.Linear(inputs, outputs * pieces), pieces

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs) to (B, outputs)."""
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)


class MaxoutDiscriminator(nn.Module):
    """Map images (B, C, H, W) to logits (B,) in fp32, higher for real.

    The paper also used dropout. Without it, a step depends only on its own stream of random numbers.
    """

    def __init__(self, *, resolution: int, channels: int, width: int, pieces: int = 5) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), Maxout(channels * resolution**2, width, pieces), Maxout(width, width, pieces)
        )
        self.logit = nn.Linear(width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B,)."""
        return logits(self.logit, self.layers(images))
