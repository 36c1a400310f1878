"""DCGAN, after Radford, Metz & Chintala 2016: all convolutions, batch normalisation, no style and no noise inputs."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from arena.core.errors import require
from arena.generators.base import TrainableGenerator
from arena.generators.discriminator import logits
from arena.generators.layers import SLOPE, doublings

NARROWEST = 16


def _widths(resolution: int, width: int) -> list[int]:
    """Channels at 4, 8, ... pixels below ``resolution``: halved with every doubling, as in figure 1 of the paper."""
    return [max(width >> k, min(width, NARROWEST)) for k in range(doublings(resolution))]


class DcganGenerator(TrainableGenerator):
    """z -> transposed convolutions, each twice the side, batch normalisation and ReLU between them -> tanh.

    In training batch normalisation uses the batch; in eval mode, where fakes are forged, its running statistics, so
    that an image does not depend on its batch mates.

    Args:
        resolution: side in pixels, a power of two from 8 to 256.
        channels: 1 or 3.
        levels: grey levels of the data (the generator does not round; the evidence path does).
        width: channels at 4 pixels (1024 in the paper), halved with every doubling, at least 16.
        z_dim: size of z (100 in the paper).
        batch_norm: whether its discriminator normalises batches too, as in the paper: for losses without penalties. A
            penalty on gradients is a property of one image, and normalising over its mates is out of place under it
            (Gulrajani et al. 2017, section 4).
        learning_rate: of Adam.

    Raises:
        ArenaError: for a resolution it cannot make, and for impossible sizes.
    """

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        width: int = 128,
        z_dim: int = 100,
        batch_norm: bool = False,
        learning_rate: float = 2e-4,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        for key, value in {"width": width, "z_dim": z_dim}.items():
            require(value >= 1, f"generator.{key}", value, "at least 1")
        require(learning_rate > 0, "generator.learning_rate", learning_rate, "above 0")
        self.width, self.z_dim, self.learning_rate = width, z_dim, learning_rate
        self.batch_norm = batch_norm
        widths = _widths(resolution, width)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(z_dim, widths[0], 4, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for a, b in pairwise(widths):
            layers += [nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, mean=1.0, std=0.02)

    def discriminator(self, resolution: int) -> "DcganDiscriminator":
        """The mirror image of the generator."""
        return DcganDiscriminator(
            resolution=resolution, channels=self.channels, width=self.width, batch_norm=self.batch_norm
        )

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Images of z (B, z_dim); nothing else is random."""
        return self.layers(z[:, :, None, None])


class DcganDiscriminator(nn.Module):
    """Strided convolutions with leaky ReLU: (B, C, H, W) -> logits (B,) in fp32, higher means more real.

    Args:
        resolution: side in pixels.
        channels: 1 or 3.
        width: channels at 4 pixels.
        batch_norm: whether all convolutions but the first are normalised over the batch.
    """

    def __init__(self, *, resolution: int, channels: int, width: int, batch_norm: bool = False) -> None:
        super().__init__()
        widths = [channels, *reversed(_widths(resolution, width))]
        layers: list[nn.Module] = []
        for k, (a, b) in enumerate(pairwise(widths)):
            normalise = [nn.BatchNorm2d(b)] if batch_norm and k else []
            layers += [nn.Conv2d(a, b, 4, stride=2, padding=1), *normalise, nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers)
        self.logit = nn.Linear(widths[-1] * 16, 1)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=SLOPE)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,)."""
        return logits(self.logit, self.layers(images).flatten(1))
