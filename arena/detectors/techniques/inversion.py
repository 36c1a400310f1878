"""Inversion of the GAN by an encoder."""

import copy
from typing import Unpack, cast

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from arena.core.errors import requires
from arena.detectors.base import GanAwareDetector, ImageShape, LearnedDetector
from arena.detectors.networks.wrappers import FrozenNetwork
from arena.detectors.techniques.autoencoder import ErrorHead, log_errors
from arena.generators.base import TrainableGenerator
from arena.generators.style import StyleGenerator

MEASURED = 1024
"""Codes by which the space of codes is measured."""
SEED = 2016
WIDEST = 4
"""Channels of the encoder's last layers, in multiples of the first's."""


class Encoder(nn.Module):
    """Convolutions that halve the side down to 4 pixels, normalised image by image, and a linear map to a code.

    Each halving doubles the channels, from ``width`` up to ``WIDEST`` times as many. The code has ``size`` values.
    """

    def __init__(self, *, channels: int, side: int, width: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, outputs = channels, width
        while side > 4:
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(1, outputs), nn.LeakyReLU(0.2)]
            inputs, outputs, side = outputs, min(2 * outputs, WIDEST * width), (side + 1) // 2
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * side**2, size))

    def forward(self, images: Tensor) -> Tensor:
        """Codes (B, size) of images (B, C, side, side)."""
        return self.layers(images)


class Inversion(LearnedDetector, GanAwareDetector):
    """A generator can make its own images again, but no photograph: the error of inverting the previous round's GAN.

    An encoder learns the codes of fakes that the frozen generator makes for it, w of a style generator and z of others.
    A small head learns from the reconstruction error in every Haar band.

    Paper: Zhu, Kraehenbuehl, Shechtman & Efros (2016), inversion by an encoder; GAN-Scanner, detection by inversion.
    Differences: GAN-Scanner and most inversions search for the code of each image by optimisation, in hundreds of
    passes through the generator. Here the encoder alone finds it, with much larger errors. Noise inputs are left out,
    and of the evidence path only the resize is applied to reconstructions.
    Blind spots: The error tells how far an image is from the reach of encoder and generator together. After a short
    training that is little more than roughness. The generator under test has moved on from the one that is inverted.
    Example: ``battery.add=[inversion]``

    Args:
        width: channels of the encoder's first layer.
        hidden: units of the head.
        made: fakes per step from which the encoder learns.
    """

    artefact = "checkerboard"
    centre: Tensor
    spread: Tensor
    z: Tensor

    def __init__(
        self, *, width: PositiveInt, hidden: PositiveInt, made: PositiveInt, **shape: Unpack[ImageShape]
    ) -> None:
        super().__init__(**shape)
        self.width, self.made = width, made
        self.head = ErrorHead(side=self.side, hidden=hidden)
        self.seed = int(torch.randint(2**62, ()))  # of the encoder, whose size depends on the generator

    @torch.no_grad()
    def attach_gan(self, generator: TrainableGenerator, discriminator: nn.Module) -> None:
        """Copy the generator and measure its space of codes. The first call builds an encoder, later ones keep it.

        Raises:
            DoesNotApply: where one code has many images (a network from another package that draws more than z), or z
                only chooses an image.
        """
        requires(not generator.finite, "a generator that makes images of z")
        self.generator = FrozenNetwork(copy.deepcopy(generator))
        rng = torch.Generator().manual_seed(SEED)
        codes = self.codes_of(torch.randn(MEASURED, generator.z_dim, generator=rng))
        self.register_buffer("centre", codes.mean(0))
        self.register_buffer("spread", codes.std(0).clamp_min(1e-6))
        self.register_buffer("z", torch.randn(self.made, generator.z_dim, generator=rng), persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            if not hasattr(self, "encoder"):
                self.encoder = Encoder(channels=self.channels, side=self.side, width=self.width, size=codes.shape[1])
            once, twice = self.images_of(codes[:1]), self.images_of(codes[:1])
        requires(torch.equal(once, twice), "a generator that draws nothing at random beside z")

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """The images, unchanged. The step's stream draws z of the fakes from which the encoder learns."""
        self.z = torch.randn(self.z.shape, generator=rng).to(self.z.device)
        return images

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.head(images, self.reconstructed(images))

    def reconstructed(self, images: Tensor) -> Tensor:
        """Images that the generator makes of the encoder's codes of images (B, C, side, side)."""
        return self.images_of(self.centre + self.spread * self.encoder(images))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the head, plus the encoder's error on fakes, in codes and in images."""
        with torch.no_grad():
            reconstructed = self.reconstructed(images)
            codes = self.codes_of(self.z)
            fakes = self.images_of(codes)
        encoded = self.encoder(fakes)
        distance = F.mse_loss(encoded.float(), (codes - self.centre) / self.spread)
        errors = log_errors(fakes - self.images_of(self.centre + self.spread * encoded)).exp().sum(1).mean()
        cross_entropy = F.binary_cross_entropy_with_logits(self.head(images, reconstructed).float(), labels)
        return cross_entropy + distance + errors

    def codes_of(self, z: Tensor) -> Tensor:
        """Codes of z (B, z_dim): w of a style generator, else z itself."""
        network = self.generator.network
        return network.mapping(z) if isinstance(network, StyleGenerator) else z

    def images_of(self, codes: Tensor) -> Tensor:
        """Images (B, C, side, side) of codes, at the size that detectors see."""
        network = self.generator.network
        images = network.images_of(codes) if isinstance(network, StyleGenerator) else network(codes)
        if images.shape[-1] != self.side:
            size = (self.side, self.side)
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
        return cast(Tensor, images)
