"""The first GAN: fully connected, after Goodfellow et al. 2014."""

import torch
from torch import Tensor, nn

from arena.core.errors import require
from arena.generators.base import TrainableGenerator
from arena.generators.discriminator import logits


class Gan2014Generator(TrainableGenerator):
    """z -> two hidden layers of rectified units -> one sigmoid a pixel, here from -1 to 1.

    Args:
        resolution: side in pixels.
        channels: 1 or 3.
        levels: grey levels of the data (the generator does not round; the evidence path does).
        width: of the hidden layers (1,200 in the paper's code).
        z_dim: size of z (100 in the paper's code).
        learning_rate: of Adam (the paper had momentum).

    Raises:
        ArenaError: for impossible sizes.
    """

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        width: int = 512,
        z_dim: int = 100,
        learning_rate: float = 2e-4,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        for key, value in {"width": width, "z_dim": z_dim}.items():
            require(value >= 1, f"generator.{key}", value, "at least 1")
        require(learning_rate > 0, "generator.learning_rate", learning_rate, "above 0")
        self.width, self.z_dim, self.learning_rate = width, z_dim, learning_rate
        self.layers = nn.Sequential(
            nn.Linear(z_dim, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, channels * resolution**2),
            nn.Tanh(),
        )

    def discriminator(self, resolution: int) -> "MaxoutDiscriminator":
        """Two maxout layers half as wide as the generator's."""
        return MaxoutDiscriminator(resolution=resolution, channels=self.channels, width=max(1, self.width // 2))

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Images of z (B, z_dim); nothing else is random."""
        return self.layers(z).unflatten(1, (self.channels, self.resolution, self.resolution))


class Maxout(nn.Module):
    """The largest of a few linear maps, unit by unit (Goodfellow et al. 2013, equation 1).

    Args:
        inputs: size of the input (B, inputs).
        outputs: size of the output (B, outputs).
        pieces: linear maps a unit has.
    """

    def __init__(self, inputs: int, outputs: int, pieces: int) -> None:
        super().__init__()
        self.linear, self.pieces = nn.Linear(inputs, outputs * pieces), pieces

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)


class MaxoutDiscriminator(nn.Module):
    """(B, C, H, W) -> logits (B,) in fp32, higher means more real.

    The paper's had dropout too; without it, a step depends on nothing but its own stream of random numbers.
    """

    def __init__(self, *, resolution: int, channels: int, width: int, pieces: int = 5) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), Maxout(channels * resolution**2, width, pieces), Maxout(width, width, pieces)
        )
        self.logit = nn.Linear(width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,)."""
        return logits(self.logit, self.layers(images))
