"""Change somebody's images a little, so that detectors find less in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.core.errors import require
from arena.generators.base import TrainableGenerator, TrainableShape
from arena.generators.layers import LRELU_GAIN, EqualisedConv, lrelu
from arena.generators.sources import ChangedImages, image_source
from arena.generators.style import ResidualDiscriminator
from arena.imaging.images import on_levels, straight_through


class BoundedChange(nn.Module):
    """A small network that changes images within a bound: x -> x + b tanh(U(x, noise)).

    No pixel changes by more than ``distortion`` grey levels of the data, before and after rounding to them. U is
    convolutional, and its last layer starts at zero, so that a new network changes nothing. The noise input lets U
    imitate the noise of a sensor.

    Args:
        channels: of the images.
        levels: grey levels of the data.
        distortion: largest change of a pixel, in these levels.
        width: channels of U.
        blocks: residual blocks of U, of two convolutions each.
    """

    def __init__(self, *, channels: int, levels: int, distortion: int, width: int, blocks: int) -> None:
        super().__init__()
        self.levels, self.bound = levels, distortion * 2 / (levels - 1)
        self.first = EqualisedConv(channels + 1, width, 3, gain=LRELU_GAIN)
        self.blocks = nn.Sequential(*(ChangeBlock(width) for _ in range(blocks)))
        self.last = EqualisedConv(width, channels, 3)
        nn.init.zeros_(self.last.get_parameter("weight"))

    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return changed images. The input is rounded to the data's levels; the output is not.

        Args:
            images: (B, C, H, W) in [-1, 1].
            rng: draws the noise input. Without it the noise is 0.
        """
        images = on_levels(images.float(), self.levels)
        noise = torch.zeros_like(images[:, :1])
        if rng is not None:
            noise = noise.normal_(generator=rng)
        change = self.last(self.blocks(self.first(torch.cat([images, noise], 1))))
        changed = images + self.bound * change.float().tanh()
        return straight_through(changed, changed.clamp(-1, 1))


class LaunderGenerator(ChangedImages, TrainableGenerator):
    """A small network that removes traces from the images of a frozen source, within a bound (``BoundedChange``).

    A codec or a resize of the evidence path comes later, and may move a pixel further than the bound. Without a
    warm-up, round 0 is the images as they are.

    The network learns as every generator does: from a discriminator of its own, and from the opponents of a response.
    The closest published attack has a discriminator for each trace beside a loss of fidelity (TR-Net, Liu et al. 2022).
    Here the bound is hard, and takes that loss's place.

    The images of a folder are the attacker's own. All of them train the network, those of the test bank included. z
    then chooses the image (``FolderImages``). No judge is tested on an image that it learned from, as with
    ``generator=folder``. Otherwise z is that of the run's generator.

    Reals are split as for generators that train, since the network could carry reals of its opponents to judges. Its
    images are compared with generator-train in the memorisation measure. Further training images of a folder's maker
    are unknown.

    Args:
        path: folder of images; null for those of a run.
        run: directory of a run whose last generator makes the images; null for those of a folder.
        cache_dir: folder for decoded images.
        distortion: largest change of a pixel, in grey levels of the data.
        width: channels of the network.
        blocks: its residual blocks, of two convolutions each.
        discriminator_width: channels of the discriminator up to 16 pixels, halved with every doubling above.
        learning_rate: of Adam, for equalised layers.
        shape: see ``TrainableShape``.

    Raises:
        ArenaError: for no source or two, or a run that can be none.
    """

    def __init__(
        self,
        *,
        path: str | Path | None,
        run: str | Path | None,
        cache_dir: str | Path,
        distortion: PositiveInt = 2,
        width: PositiveInt = 32,
        blocks: PositiveInt = 2,
        discriminator_width: PositiveInt = 32,
        learning_rate: PositiveFloat = 2e-3,
        **shape: Unpack[TrainableShape],
    ) -> None:
        super().__init__(**shape)
        expected = f"less than the data's {self.levels} grey levels"
        require(distortion < self.levels, "generator.distortion", distortion, expected)
        self.source = image_source(
            path, run, cache_dir, resolution=self.resolution, channels=self.channels, levels=self.levels
        )
        self.z_dim, self.learning_rate, self.discriminator_width = self.source.z_dim, learning_rate, discriminator_width
        self.change = BoundedChange(
            channels=self.channels, levels=self.levels, distortion=distortion, width=width, blocks=blocks
        )

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return changed images of z (B, z_dim). Noise inputs are drawn from ``rng``; without it they are 0."""
        with torch.no_grad():
            images = self.source(z, rng)
        return self.change(images, rng)

    def latents(self, counts: Mapping[str, int], seed: int) -> dict[str, Tensor]:
        """Return z of banks. Those of a folder choose different images each."""
        return self.source.latents(counts, seed)

    def discriminator(self, resolution: int) -> ResidualDiscriminator:
        """Return a residual discriminator."""
        return ResidualDiscriminator(resolution=resolution, channels=self.channels, width=self.discriminator_width)


class ChangeBlock(nn.Module):
    """Two convolutions and a skip at one resolution, after a leaky ReLU: (B, width, H, W) to the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = EqualisedConv(width, width, 3, gain=LRELU_GAIN)
        self.second = EqualisedConv(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of skip and convolutions."""
        return x + self.second(lrelu(self.first(lrelu(x))))
