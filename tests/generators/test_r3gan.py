import math

import pytest
import torch
from torch import nn

from arena.core.errors import ArenaError
from arena.generators.layers import LRELU_GAIN
from arena.generators.r3gan import Block, R3ganGenerator


def build(resolution: int = 16, channels: int = 3) -> R3ganGenerator:
    torch.manual_seed(0)
    return R3ganGenerator(resolution=resolution, channels=channels, levels=256, width=16, z_dim=6)


@pytest.mark.parametrize(("resolution", "channels"), [(8, 1), (16, 3), (64, 1)])
def test_images_and_logits_have_their_shapes(resolution: int, channels: int) -> None:
    generator = build(resolution, channels)
    images = generator(torch.randn(2, 6))
    assert images.shape == (2, channels, resolution, resolution)
    assert generator.discriminator(resolution)(images).shape == (2,)


def test_a_block_is_the_identity_at_first_and_its_weights_are_fixups() -> None:
    torch.manual_seed(0)
    block, x = Block(32, group=16, blocks=16), torch.randn(2, 32, 4, 4)
    assert torch.equal(block(x), x)
    # sqrt(2 / (1 + 0.2^2)) L^(-1/4), over the square root of the fan-in (R3GAN's Trainer and Networks; L = 16 blocks).
    for layer, fan_in in ((block.first, 32), (block.second, 16 * 9)):
        assert layer.weight.std().item() == pytest.approx(LRELU_GAIN / 2 / math.sqrt(fan_in), rel=0.05)
    assert block.second.groups == 4


def test_there_is_no_normalisation_and_no_logit_depends_on_mates() -> None:
    generator = build()
    discriminator, images = generator.discriminator(16), torch.randn(6, 3, 16, 16)
    torch.testing.assert_close(discriminator(images)[:2], discriminator(images[:2]), rtol=1e-4, atol=1e-5)
    kinds = {type(layer) for network in (generator, discriminator) for layer in network.modules()}
    assert not {nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d} & kinds


def test_gradients_reach_every_weight_of_both_players() -> None:
    generator = build()
    for module in generator.modules():
        if isinstance(module, Block):  # past the first step, when the last convolution is no longer zero
            nn.init.normal_(module.third.weight)
    discriminator = generator.discriminator(16)
    discriminator(generator(torch.randn(4, 6))).sum().backward()
    assert all(value.grad is not None and value.grad.any() for value in generator.parameters())
    silent = [name for name, value in discriminator.named_parameters() if value.grad is None]
    assert not silent


@pytest.mark.parametrize(("key", "value"), [("width", 0), ("group", 5), ("blocks", 0), ("learning_rate", 0)])
def test_impossible_settings_are_named(key: str, value: int) -> None:
    with pytest.raises(ArenaError, match=f"generator.{key}={value}"):
        R3ganGenerator(resolution=8, channels=1, levels=17, **{"width": 16, key: value})  # type: ignore[arg-type]
