"""The control that resamples real images: what a generator with these reals can reach without learning."""

from collections.abc import Mapping
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.generators.base import Generator
from arena.imaging.images import ImageShape, on_levels, to_float

MOVED = 0.25
"""Share of the grey pixels that move by a level. On one split of the digits, shares from 2% to 100% were tried."""


class Floor(Generator):
    """Forge resampled images of generator-train: drawn with replacement, mirrored, and jittered.

    This owns as many reals as the generator, and learns nothing. Its AUC is what a generator with these reals can reach
    without learning. It is no strict bound, since another jitter might reach less. Its images are near copies, so that
    the guard of memorisation does not apply to this control, and refuses it as a generator.

    Half of the images are mirrored, where ``mirror`` allows it. Then single pixels, a share of ``MOVED`` at random, go
    up or down by one grey level. Black and white pixels stay, since grounds of one value are as a camera or a scanner
    left them. Shifts, by whole pixels or by parts of one, are no part of the jitter: reals may be centred, as digits
    are, an edge that is filled up shows, and interpolation takes noise away.

    Judges learn from images of the same reals as those that they are tested on, as with any generator that repeats its
    training images. They may learn to recognise these.

    Args:
        mirror: whether the mirror image of a real might be real too, ``data.mirror``.
        shape: of the images.
    """

    purpose = "control"

    def __init__(self, *, mirror: bool, **shape: Unpack[ImageShape]) -> None:
        super().__init__(**shape)
        self.mirror = mirror

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Draw, mirror and jitter images, each bank from its own stream."""
        return {
            name: self._bank(count, derive_seed(seed, "bank", player=name), reals) for name, count in counts.items()
        }

    def _bank(self, count: int, seed: int, reals: Reals) -> Tensor:
        drawn = np.random.default_rng(derive_seed(seed, "draw")).integers(len(reals), size=count)
        images, rng = to_float(reals.images[torch.from_numpy(drawn)]), torch.Generator().manual_seed(seed)
        if self.mirror:
            turned = torch.rand(count, generator=rng) < 0.5
            images[turned] = images[turned].flip(-1)
        return self.jitter(images, rng)

    def jitter(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Move single pixels of images (B, C, H, W) on grey levels by one level up or down; each colour by itself."""
        level = 2 / (self.levels - 1)
        moved = torch.rand(images.shape, generator=rng) < MOVED
        step = torch.where(torch.rand(images.shape, generator=rng) < 0.5, -level, level)
        inside = (images > -1 + level / 2) & (images < 1 - level / 2)
        return on_levels(torch.where(moved & inside, images + step, images), self.levels)
