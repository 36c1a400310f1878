"""DCGAN, after Radford, Metz & Chintala 2016: convolutions and batch normalisation, no style, no noise inputs."""

from itertools import pairwise
from typing import Unpack

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.generators.base import TrainableGenerator, TrainableShape
from arena.generators.layers import SLOPE, doublings, logits
from arena.generators.output import Output, OutputLayer

NARROWEST = 16


def _widths(resolution: int, width: int) -> list[int]:
    """Return the channels at 4, 8, ... pixels below ``resolution``, halved with every doubling (figure 1)."""
    return [max(width >> k, min(width, NARROWEST)) for k in range(doublings(resolution))]


class DcganGenerator(TrainableGenerator):
    """z -> transposed convolutions, each doubling the side, with batch normalisation and ReLU between them -> output.

    In training, batch normalisation uses the batch. Fakes are forged in eval mode, with running statistics, so that an
    image does not depend on its batch mates.

    Args:
        width: channels at 4 pixels (1024 in the paper), halved with every doubling, at least 16.
        z_dim: size of z (100 in the paper).
        batch_norm: whether the discriminator also normalises batches, as in the paper. Only for losses without
            penalties: a gradient penalty is a property of one image (Gulrajani et al. 2017, section 4).
        learning_rate: of Adam.
        output: form of the last layer, see ``OutputLayer``.
        shape: see ``TrainableShape``.
    """

    def __init__(
        self,
        *,
        width: PositiveInt = 128,
        z_dim: PositiveInt = 100,
        batch_norm: bool = False,
        learning_rate: PositiveFloat = 2e-4,
        output: Output = "scaled_tanh",
        **shape: Unpack[TrainableShape],
    ) -> None:
        super().__init__(**shape)
        self.width, self.z_dim, self.learning_rate, self.batch_norm = width, z_dim, learning_rate, batch_norm
        widths = _widths(self.resolution, width)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(z_dim, widths[0], 4, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for a, b in pairwise(widths):
            layers += [nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], self.channels, 4, stride=2, padding=1), OutputLayer(output)]
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, mean=1.0, std=0.02)

    def discriminator(self, resolution: int) -> "DcganDiscriminator":
        """Return the mirror image of the generator."""
        return DcganDiscriminator(
            resolution=resolution, channels=self.channels, width=self.width, batch_norm=self.batch_norm
        )

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return images of z (B, z_dim). Nothing else is random."""
        return self.layers(z[:, :, None, None])


class DcganDiscriminator(nn.Module):
    """Map images (B, C, H, W) to logits (B,) in fp32, higher for real: strided convolutions with leaky ReLU.

    With ``batch_norm`` all convolutions after the first are normalised over the batch.
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
        """Return logits (B,)."""
        return logits(self.logit, self.layers(images).flatten(1))
