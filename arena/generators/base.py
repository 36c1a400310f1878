"""What every generator is: z to images, and banks of fakes on demand."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from arena.core.seeding import derive_seed
from arena.data.reals import Reals

FORGE_BATCH = 256


class Generator(nn.Module, ABC):
    """A generator the race can examine. Built by ``factory(resolution=..., channels=..., levels=...)``.

    Args:
        resolution: side in pixels of its images.
        channels: 1 or 3.
        levels: grey levels of the data.
    """

    outside: ClassVar[bool] = False
    """Whether its images come from outside and owe nothing to generator-train: then the judges may have those reals."""

    def __init__(self, *, resolution: int, channels: int, levels: int) -> None:
        super().__init__()
        self.resolution, self.channels, self.levels = resolution, channels, levels

    @abstractmethod
    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Banks of fakes, each from a stream of its own: name -> float images (n, C, H, W) in [-1, 1] on the CPU.

        Args:
            counts: name of the bank -> images wanted. A control that draws from a finite set may deliver fewer, in the
                same proportions.
            seed: of this round's forging.
            reals: generator-train. A trained generator does not look at them again; a control draws from them.
        """

    def training_set(self, reals: Reals) -> Reals:
        """The reals this generator counts as its training set, for the measure of memorisation."""
        return reals

    def files(self) -> list[Path] | None:
        """The files its fakes came from, for the provenance check; None where it made them."""
        return None

    def fingerprint(self) -> str:
        """Hash of the files it was made from, "" for none: where their content changed it is another generator."""
        return ""

    def check(self, counts: Mapping[str, int]) -> None:
        """Refuse banks it cannot forge, before anything is trained.

        Args:
            counts: name of the bank -> images wanted, as ``forge`` will be asked.

        Raises:
            ArenaError: naming the key and what was expected.
        """


class TrainableGenerator(Generator):
    """A network z (B, z_dim) -> images (B, C, H, W) in about [-1, 1], which brings its own discriminator."""

    z_dim: int
    learning_rate: float
    """Of Adam, for it and its discriminator: it goes with how the layers are parametrised, so the generator says it."""

    @abstractmethod
    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Images of z; whatever else is random (noise inputs) is drawn from ``rng``."""

    @abstractmethod
    def discriminator(self, resolution: int) -> nn.Module:
        """A new discriminator: (B, C, H, W) -> logits (B,), higher means more *real* to a GAN.

        Args:
            resolution: side in pixels of what it sees, which is not the generator's own where the evidence is resized.
        """

    def draw(self, z: Tensor, rng: torch.Generator) -> Tensor:
        """Images for a training step; a style generator mixes styles here."""
        return self(z, rng)

    @torch.inference_mode()
    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Sample in eval mode and fp32, ``FORGE_BATCH`` at a time."""
        device = next(chain(self.parameters(), self.buffers()), torch.empty(0)).device
        training = self.training
        self.eval()
        banks = {}
        for name, count in counts.items():
            rng = torch.Generator().manual_seed(derive_seed(seed, "bank", player=name))
            z = torch.randn(count, self.z_dim, generator=rng).to(device)
            noise = torch.Generator(device).manual_seed(derive_seed(seed, "noise", player=name))
            banks[name] = torch.cat([self(batch, noise).float().cpu() for batch in z.split(FORGE_BATCH)])
        self.train(training)
        return banks
