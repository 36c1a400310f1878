import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.errors import ArenaError
from arena.generators.layers import LRELU_GAIN, EqualisedConv, EqualisedLinear, channels_at, doublings, lrelu


@given(inputs=st.integers(2, 64), multiplier=st.sampled_from([1.0, 0.1, 0.01]))
@settings(max_examples=20, deadline=None)
def test_an_adam_step_moves_the_output_by_the_same_whatever_the_fan_in(inputs: int, multiplier: float) -> None:
    # Adam's first step moves every weight by the learning rate, along the sign of its gradient: on inputs of 1 the
    # output moves by lr * scale * inputs = lr * multiplier * sqrt(inputs), and by lr * multiplier of the bias.
    layer = EqualisedLinear(inputs, 1, multiplier=multiplier)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
    ones = torch.ones(1, inputs)
    before = layer(ones)
    before.sum().backward()
    optimizer.step()
    moved = (before - layer(ones)).item()
    assert moved == pytest.approx(1e-3 * multiplier * (math.sqrt(inputs) + 1), rel=1e-2)


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_linear_keeps_the_second_moment_through_its_activation(multiplier: float) -> None:
    torch.manual_seed(0)
    layer = EqualisedLinear(256, 4096, gain=LRELU_GAIN, multiplier=multiplier)
    out = lrelu(layer(torch.randn(64, 256)))
    assert out.square().mean().item() == pytest.approx(1.0, rel=0.05)


def test_conv_is_a_convolution_with_weights_of_unit_fan_in() -> None:
    torch.manual_seed(0)
    layer = EqualisedConv(5, 7, 3, gain=1.5)
    x = torch.randn(2, 5, 6, 6)
    expected = torch.nn.functional.conv2d(x, layer.weight * 1.5 / math.sqrt(45), layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(("resolution", "expected"), [(8, 1), (16, 2), (64, 4), (256, 6)])
def test_doublings(resolution: int, expected: int) -> None:
    assert doublings(resolution) == expected


@pytest.mark.parametrize("resolution", [0, 4, 12, 48, 512, -8])
def test_a_resolution_that_cannot_be_made_is_named(resolution: int) -> None:
    with pytest.raises(ArenaError, match=f"data.resolution={resolution}: a resolution the generator cannot make"):
        doublings(resolution)


def test_channels_halve_above_16_pixels_and_never_vanish() -> None:
    assert [channels_at(side, 64) for side in (4, 8, 16, 32, 64, 128, 256)] == [64, 64, 64, 32, 16, 8, 8]
    assert channels_at(256, 4) == 4
