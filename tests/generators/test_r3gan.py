import math

import pytest
import torch
from torch import nn

from arena.core.errors import ArenaError
from arena.generators.layers import LRELU_GAIN
from arena.generators.r3gan import Block, R3ganGenerator


def test_a_new_block_is_the_identity_and_its_weights_are_initialised_by_fixup() -> None:
    torch.manual_seed(0)
    block, x = Block(32, group=16, blocks=16), torch.randn(2, 32, 4, 4)
    assert torch.equal(block(x), x)
    # sqrt(2 / (1 + 0.2^2)) L^(-1/4), over the square root of the fan-in (R3GAN's Trainer and Networks; L = 16 blocks).
    for layer, fan_in in ((block.first, 32), (block.second, 16 * 9)):
        assert layer.weight.std().item() == pytest.approx(LRELU_GAIN / 2 / math.sqrt(fan_in), rel=0.05)
    assert block.second.groups == 4


def test_there_is_no_normalisation_and_gradients_reach_every_weight_of_both_players() -> None:
    torch.manual_seed(0)
    generator = R3ganGenerator(resolution=16, channels=3, levels=256, width=16, z_dim=6)
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
        R3ganGenerator(resolution=8, channels=1, levels=17, width=16, group=5)
