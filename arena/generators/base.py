"""Base classes of generators, which forge banks of fake images."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn

from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.data.split import Purpose
from arena.generators.matching import Matched, fit_matching
from arena.imaging.images import ImageShape

FORGE_BATCH = 256
FIT_PIXELS, FEWEST_TO_FIT, MOST_TO_FIT = 2**23, 256, 4096
"""Size of the fakes that a matching is fitted on: pixels of all channels, and bounds of the number of images."""


class Generator(nn.Module, ABC):
    """A source of fakes that a race can examine. The race builds it with the shape of the data.

    Args:
        resolution: side of the images in pixels.
        channels: 1 or 3.
        levels: grey levels of the data. Generators do not round to them; the evidence path does.
    """

    purpose: ClassVar[Purpose] = "train"
    """Origin of the images, which decides the split of the reals."""

    def __init__(self, *, resolution: int, channels: int, levels: int) -> None:
        super().__init__()
        self.resolution, self.channels, self.levels = resolution, channels, levels

    @property
    def finite(self) -> bool:
        """True where banks are dealt from so many images, so that two banks of different seeds may share some.

        Judges then learn from the images of one dealing. All others forge as many new images as are asked for.
        """
        return self.purpose != "train"

    @property
    def origin(self) -> Path | None:
        """The run whose generator made the images before this one changes them, or None."""
        return None

    @abstractmethod
    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Forge banks of fakes, each from its own random stream.

        Args:
            counts: name of the bank -> number of images. A finite source may return fewer, in the same proportions.
            seed: of this round's forging.
            reals: generator-train. Trained generators ignore it; controls draw from it.

        Returns:
            Name of the bank -> float images (n, C, H, W) in [-1, 1] on the CPU.
        """

    def training_set(self, reals: Reals) -> Reals:
        """Return the reals that the memorisation measure compares the fakes with."""
        return reals

    def files(self) -> list[Path] | None:
        """Return the image files behind the fakes for the provenance check, or None without files."""
        return None

    def fingerprint(self) -> str:
        """Return a hash of the files the generator was made from, or "" without files."""
        return ""

    def check(self, counts: Mapping[str, int]) -> None:
        """Raise ``ArenaError``, before training, if the generator cannot forge banks of these sizes."""


class TrainableShape(ImageShape, total=False):
    """Keywords of every trainable generator: shape of the images, and what ``forge`` matches to generator-train."""

    matched: Matched | None


class TrainableGenerator(Generator):
    """A network z (B, z_dim) -> images (B, C, H, W) in about [-1, 1], with a discriminator of its own.

    Args:
        matched: pixel histogram, mean spectrum or both that forged fakes share with generator-train, by a fixed map
            after the network. Training does not know the map. None for the network's own images.
        shape: see ``ImageShape``.
    """

    z_dim: int
    learning_rate: float
    """Of Adam, for generator and discriminator. It depends on how the layers are parametrised."""
    matched: Matched | None

    def __init__(self, *, matched: Matched | None = None, **shape: Unpack[ImageShape]) -> None:
        super().__init__(**shape)
        self.matched = matched

    @abstractmethod
    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return images of z. All other randomness, such as noise inputs, is drawn from ``rng``."""

    @abstractmethod
    def discriminator(self, resolution: int) -> nn.Module:
        """Return a new discriminator: (B, C, H, W) -> logits (B,), higher for *real*.

        Args:
            resolution: side in pixels of its input. It differs from the generator's if the evidence path resizes.
        """

    def draw(self, z: Tensor, rng: torch.Generator) -> Tensor:
        """Return images for a training step. Style generators mix styles here."""
        return self(z, rng)

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Sample banks, and match them to generator-train if the config asks for it.

        The map is fitted on fakes of a stream of its own, which depends on neither bank nor ``seed``. All banks that
        these weights forge have the same map.
        """
        banks = self.sample(counts, seed)
        if self.matched is None:
            return banks
        count = FIT_PIXELS // (self.channels * self.resolution**2)
        count = min(max(count, FEWEST_TO_FIT), MOST_TO_FIT)
        fakes = self.sample({"matching": count}, derive_seed(0, "matching"))["matching"]
        matching = fit_matching(self.matched, fakes, reals.images, self.levels)
        return {name: matching(bank) for name, bank in banks.items()}

    def latents(self, counts: Mapping[str, int], seed: int) -> dict[str, Tensor]:
        """Return z of banks, each from its own stream: name -> (n, z_dim). A finite source may return fewer."""
        streams = {name: torch.Generator().manual_seed(derive_seed(seed, "bank", player=name)) for name in counts}
        return {name: torch.randn(count, self.z_dim, generator=streams[name]) for name, count in counts.items()}

    @torch.inference_mode()
    def sample(self, counts: Mapping[str, int], seed: int) -> dict[str, Tensor]:
        """Return banks of the network's own images, in eval mode and fp32, ``FORGE_BATCH`` images at a time.

        Args:
            counts: name of the bank -> number of images.
            seed: of the streams.

        Returns:
            Name of the bank -> float images (n, C, H, W) on the CPU.
        """
        device = next(chain(self.parameters(), self.buffers()), torch.empty(0)).device
        training = self.training
        self.eval()
        banks = {}
        for name, z in self.latents(counts, seed).items():
            noise = torch.Generator(device).manual_seed(derive_seed(seed, "noise", player=name))
            banks[name] = torch.cat([self(batch, noise).float().cpu() for batch in z.to(device).split(FORGE_BATCH)])
        self.train(training)
        return banks
