"""Trainable generators with their discriminators: properties that all share, and those of each."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from arena.core.errors import ArenaError
from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.generators.base import TrainableGenerator
from arena.generators.dcgan import DcganGenerator
from arena.generators.gan2014 import Gan2014Generator, Maxout
from arena.generators.layers import LRELU_GAIN
from arena.generators.r3gan import Block, R3ganGenerator
from arena.generators.style import MinibatchDeviation, ResidualDiscriminator, StyleGenerator

EVERY = pytest.mark.parametrize("kind", [Gan2014Generator, DcganGenerator, StyleGenerator, R3ganGenerator])
NO_REALS = Reals(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), np.zeros(1, np.int64))


def build(kind: type, resolution: int = 8, channels: int = 1, width: int = 16, **settings: Any) -> TrainableGenerator:
    torch.manual_seed(0)
    return kind(resolution=resolution, channels=channels, levels=17, width=width, z_dim=6, **settings)


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
    discriminator, images = build(kind).discriminator(8), torch.randn(6, 1, 8, 8)
    torch.testing.assert_close(discriminator(images)[:2], discriminator(images[:2]), rtol=1e-4, atol=1e-5)


@EVERY
def test_logits_are_fp32_under_autocast(kind: type) -> None:
    discriminator, images = build(kind).discriminator(8), torch.randn(4, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        logits = discriminator(images)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, discriminator(images), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("kind", [DcganGenerator, StyleGenerator, R3ganGenerator])
@pytest.mark.parametrize("resolution", [-8, 0, 4, 24, 512])
def test_a_resolution_that_cannot_be_made_is_named(kind: type, resolution: int) -> None:
    with pytest.raises(ArenaError, match=f"data.resolution={resolution}: a resolution the generator cannot make"):
        build(kind, resolution)


# The fully connected GAN.


def test_maxout_is_the_largest_of_its_pieces() -> None:
    layer, x = Maxout(4, 3, pieces=2), torch.randn(5, 4)
    pieces = layer.linear(x)
    expected = torch.stack([torch.maximum(pieces[:, 2 * k], pieces[:, 2 * k + 1]) for k in range(3)], 1)
    assert torch.equal(layer(x), expected)


# DCGAN.


def channels_of_norms(network: nn.Module) -> list[int]:
    return [layer.num_features for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize(("batch_norm", "expected"), [(True, [256, 512, 1024]), (False, [])])
def test_dcgan_has_the_channels_of_figure_1_of_the_paper(batch_norm: bool, expected: list[int]) -> None:
    with torch.device("meta"):
        generator = DcganGenerator(resolution=64, channels=3, levels=256, width=1024, batch_norm=batch_norm)
        assert channels_of_norms(generator) == [1024, 512, 256, 128]
        assert channels_of_norms(generator.discriminator(64)) == expected  # of every layer after the first


def test_a_forged_image_does_not_depend_on_batch_mates_and_forging_keeps_the_training_mode() -> None:
    generator = build(DcganGenerator, 16)
    for _ in range(20):
        generator(torch.randn(32, 6))
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    forged = generator.forge({"test": 40}, seed=1, reals=NO_REALS)["test"]
    assert generator.training
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    z = torch.randn(40, 6, generator=torch.Generator().manual_seed(derive_seed(1, "bank", player="test")))
    torch.testing.assert_close(forged[:3], generator.eval()(z[:3]))


# R3GAN.


def test_a_new_block_is_the_identity_and_its_weights_are_initialised_by_fixup() -> None:
    torch.manual_seed(0)
    block, x = Block(32, group=16, blocks=16), torch.randn(2, 32, 4, 4)
    assert torch.equal(block(x), x)
    # sqrt(2 / (1 + 0.2^2)) L^(-1/4), over the square root of the fan-in (R3GAN's Trainer and Networks; L = 16 blocks).
    for layer, fan_in in ((block.first, 32), (block.second, 16 * 9)):
        assert layer.weight.std().item() == pytest.approx(LRELU_GAIN / 2 / math.sqrt(fan_in), rel=0.05)
    assert block.second.groups == 4


def test_r3gan_has_no_normalisation_and_gradients_reach_every_weight_of_both_players() -> None:
    generator = build(R3ganGenerator, 16, 3)
    for module in generator.modules():
        if isinstance(module, Block):  # past the first step, when the last convolution is no longer zero
            nn.init.normal_(module.third.weight)
    discriminator = generator.discriminator(16)
    discriminator(generator(torch.randn(4, 6))).sum().backward()
    assert all(value.grad is not None and value.grad.any() for value in generator.parameters())
    assert all(value.grad is not None for value in discriminator.parameters())
    kinds = {type(layer) for network in (generator, discriminator) for layer in network.modules()}
    assert not {nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d} & kinds


def test_a_group_that_does_not_divide_the_channels_is_named() -> None:
    with pytest.raises(ArenaError, match=r"generator.group=5: expected a divisor of 32, twice a width"):
        build(R3ganGenerator, group=5)


# The residual discriminator of the style generator.


def residual(group: int = 0) -> ResidualDiscriminator:
    torch.manual_seed(0)
    return ResidualDiscriminator(resolution=16, channels=1, width=8, group=group)


def test_with_the_minibatch_deviation_a_logit_depends_on_its_own_group_alone() -> None:
    discriminator, images = residual(group=4), torch.randn(8, 1, 16, 16)
    changed = images.clone()
    changed[3] += 1
    moved = discriminator(images) - discriminator(changed)
    assert (moved[:4].abs() > 1e-6).all()
    torch.testing.assert_close(moved[4:], torch.zeros(4), rtol=0, atol=1e-6)


def test_the_minibatch_deviation_is_the_mean_deviation_over_each_group() -> None:
    x = torch.randn(8, 3, 4, 4)
    out = MinibatchDeviation(4)(x)
    assert torch.equal(out[:, :3], x)
    for group in (slice(0, 4), slice(4, 8)):
        expected = x[group].std(0, unbiased=False).mean()
        torch.testing.assert_close(out[group, 3], expected.expand(4, 4, 4))


@pytest.mark.parametrize("batch", [4, 20, 64])
def test_reals_get_the_same_deviation_alone_and_followed_by_as_many_fakes(batch: int) -> None:
    # The step of the discriminator has reals first and fakes after, that of the generator either alone.
    reals, fakes, layer = torch.randn(batch, 2, 4, 4), 3 * torch.randn(batch, 2, 4, 4), MinibatchDeviation(4)
    torch.testing.assert_close(layer(torch.cat([reals, fakes])), torch.cat([layer(reals), layer(fakes)]))


def test_logits_depend_on_patterns_that_alternate_from_pixel_to_pixel() -> None:
    # Averaging is linear, and alone would remove a checkerboard before any nonlinearity.
    column = 1.0 - 2.0 * (torch.arange(16) % 2)
    board = 0.5 * (column[:, None] * column)[None, None]
    assert (residual()(board) - residual()(torch.zeros_like(board))).abs() > 1e-2
