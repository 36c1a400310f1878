"""How well the GAN itself can make an image: inversion by an encoder (Zhu, Kraehenbuehl, Shechtman & Efros 2016)."""

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.core.errors import require, requires
from arena.detectors.base import GanAwareDetector, LearnedDetector
from arena.detectors.networks.foreign import Frozen
from arena.detectors.networks.wrappers import ErrorHead, log_errors
from arena.generators.base import TrainableGenerator
from arena.generators.style import StyleGenerator

MEASURED = 1024
"""Points the space of codes is measured by."""
SEED = 2016
WIDEST = 4
"""Channels of the encoder's last layers, in multiples of the first's."""


class Encoder(nn.Module):
    """Convolutions that halve the side down to 4 pixels, normalised image by image, and one linear map to a code.

    Args:
        channels: of the images.
        side: of them, in pixels.
        width: channels of the first layer; each halving doubles them, up to ``WIDEST`` times.
        size: of the code.
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
    """The error, in every Haar band, with which the previous round's generator makes an image, and a small head on it.

    What a generator made, it can make again; a photograph it cannot. Here an encoder learns to find codes, from fakes
    that it has the frozen generator make for it: for these the codes are known. The head learns from both classes what
    an error means. Codes are w of a style generator (Karras, Laine & Aila 2019) and z of any other.

    What it does not do: it searches for no image's code by optimisation, as GAN-Scanner and most inversions do, which
    takes hundreds of passes through the generator for one image. The encoder's own errors are much larger than those
    of a search, so that its error tells how far an image is from what the encoder and the generator together can make,
    and in a short training little more than how rough it is. Noise inputs are left out, and of the evidence path only
    the resize is done to what is made. The generator of this round, whose fakes it judges, has moved on from its own.

    Args:
        resolution, channels, levels: of the images.
        width: channels of the encoder's first layer.
        hidden: units of the head.
        made: fakes made in each step for the encoder to learn from.
    """

    artefact = "checkerboard"
    centre: Tensor
    spread: Tensor
    z: Tensor

    def __init__(self, *, resolution: int, channels: int, levels: int, width: int, hidden: int, made: int) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        for key, value in {"width": width, "hidden": hidden, "made": made}.items():
            require(value >= 1, key, value, "at least 1")
        self.width, self.made = width, made
        self.head = ErrorHead(side=self.side, hidden=hidden)
        self.seed = int(torch.randint(2**62, ()))  # the encoder's size is known only when it meets the generator

    @torch.no_grad()
    def meet(self, generator: TrainableGenerator, discriminator: nn.Module) -> None:
        """Keep a copy of the generator, measure the space of its codes, and make an encoder for them if there is none.

        Raises:
            DoesNotApply: where one code has many images: a network from outside that draws more at random than z.
        """
        self.generator = Frozen(copy.deepcopy(generator))
        rng = torch.Generator().manual_seed(SEED)
        codes = self._codes(torch.randn(MEASURED, generator.z_dim, generator=rng))
        self.register_buffer("centre", codes.mean(0))
        self.register_buffer("spread", codes.std(0).clamp_min(1e-6))
        self.register_buffer("z", torch.randn(self.made, generator.z_dim, generator=rng), persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            if not hasattr(self, "encoder"):  # at a later meeting it goes on from where it stood
                self.encoder = Encoder(channels=self.channels, side=self.side, width=self.width, size=codes.shape[1])
            once, twice = self._images(codes[:1]), self._images(codes[:1])
        requires(torch.equal(once, twice), "a generator that draws nothing at random beside z")

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """The images as they are; of the step's stream come the z of the fakes that the encoder learns from."""
        self.z = torch.randn(self.z.shape, generator=rng).to(self.z.device)
        return images

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.head(images, self.reconstructed(images))

    def reconstructed(self, images: Tensor) -> Tensor:
        """What the generator makes of the codes that the encoder finds for images (B, C, side, side)."""
        return self._images(self.centre + self.spread * self.encoder(images))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the head, and the encoder's error on fakes made for it, in codes and in images."""
        with torch.no_grad():
            reconstructed = self.reconstructed(images)
            codes = self._codes(self.z)
            made = self._images(codes)
        found = self.encoder(made)
        off = F.mse_loss(found.float(), (codes - self.centre) / self.spread)
        errors = log_errors(made - self._images(self.centre + self.spread * found)).exp().sum(1).mean()
        return F.binary_cross_entropy_with_logits(self.head(images, reconstructed).float(), labels) + off + errors

    def _codes(self, z: Tensor) -> Tensor:
        """Codes of z (B, z_dim): w where there is one."""
        network = self.generator.network
        return network.mapping(z) if isinstance(network, StyleGenerator) else z

    def _images(self, codes: Tensor) -> Tensor:
        """Images (B, C, side, side) of codes, at the size detectors see."""
        network = self.generator.network
        images = network.images_of(codes) if isinstance(network, StyleGenerator) else network(codes)
        if images.shape[-1] != self.side:
            size = (self.side, self.side)
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
        return cast(Tensor, images)
