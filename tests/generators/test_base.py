"""Properties that all trainable generators share."""

from typing import Any

import numpy as np
import pytest
import torch

from arena.core.errors import ArenaError
from arena.data.reals import Reals
from arena.generators.base import TrainableGenerator
from arena.generators.dcgan import DcganGenerator
from arena.generators.gan2014 import Gan2014Generator
from arena.generators.r3gan import R3ganGenerator
from arena.generators.style import StyleGenerator

EVERY = pytest.mark.parametrize("kind", [Gan2014Generator, DcganGenerator, StyleGenerator, R3ganGenerator])
NO_REALS = Reals(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), np.zeros(1, np.int64))


def build(kind: type, resolution: int = 8, channels: int = 1, **settings: Any) -> TrainableGenerator:
    torch.manual_seed(0)
    return kind(resolution=resolution, channels=channels, levels=17, width=16, z_dim=6, **settings)


@pytest.mark.parametrize(("resolution", "channels"), [(8, 1), (8, 3), (16, 3), (32, 1), (64, 1), (128, 3), (256, 3)])
@EVERY
def test_images_and_logits_have_the_shape_of_the_data(kind: type, resolution: int, channels: int) -> None:
    generator = build(kind, resolution, channels)
    images = generator.draw(torch.randn(2, 6), torch.Generator())
    assert images.shape == (2, channels, resolution, resolution)
    assert images.abs().max() <= 1
    assert generator.discriminator(resolution)(images).shape == (2,)


@EVERY
def test_each_bank_depends_on_its_name_and_the_seed_alone(kind: type) -> None:
    generator = build(kind)
    first = generator.forge({"train": 5, "test": 7}, seed=3, reals=NO_REALS)
    torch.manual_seed(2)
    second = generator.forge({"test": 7, "validation": 4, "train": 6}, seed=3, reals=NO_REALS)
    assert torch.equal(first["test"], second["test"])
    assert not torch.equal(first["train"], first["test"][:5])
    assert not torch.equal(first["test"], generator.forge({"test": 7}, seed=4, reals=NO_REALS)["test"])


@EVERY
def test_logits_do_not_depend_on_batch_mates(kind: type) -> None:
    generator = build(kind)
    discriminator, images = generator.discriminator(8), torch.randn(6, 1, 8, 8)
    torch.testing.assert_close(discriminator(images)[:2], discriminator(images[:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [DcganGenerator, StyleGenerator, R3ganGenerator])
@pytest.mark.parametrize("resolution", [4, 24, 512])
def test_a_resolution_that_cannot_be_made_is_named(kind: type, resolution: int) -> None:
    with pytest.raises(ArenaError, match=f"data.resolution={resolution}: a resolution the generator cannot make"):
        build(kind, resolution)
