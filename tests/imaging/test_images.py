import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.imaging.images import on_levels, straight_through, to_float, to_uint8


def test_bytes_make_the_round_trip():
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    floats = to_float(every)
    assert floats.min() == -1
    assert floats.max() == 1
    assert torch.equal(to_uint8(floats), every)


def test_out_of_range_is_clipped():
    assert to_uint8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


@pytest.mark.parametrize("levels", [2, 17, 256])
@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_rounding_is_to_the_nearest_level_and_idempotent(levels, seed):
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 3 - 1.5
    rounded = on_levels(images, levels)
    grid = torch.arange(levels, dtype=torch.float64) * (2 / (levels - 1)) - 1
    distance = (rounded.double()[..., None] - grid).abs().min(-1).values
    assert distance.max() < 1e-6
    assert (rounded - images.clamp(-1, 1)).abs().max() <= 1 / (levels - 1) + 1e-6
    assert torch.equal(on_levels(rounded, levels), rounded)


def test_bytes_are_256_levels():
    images = torch.rand(4, 1, 16, 16) * 2 - 1
    assert torch.equal(to_uint8(on_levels(images, 256)), to_uint8(images))


def test_straight_through_has_the_value_of_one_and_the_gradient_of_the_other():
    images = torch.randn(2, 1, 4, 4, requires_grad=True)
    value = torch.randn(2, 1, 4, 4)
    weight = torch.randn(2, 1, 4, 4)
    through = straight_through(images, value)
    assert torch.equal(through, value)
    (gradient,) = torch.autograd.grad((through * weight).sum(), images)
    assert torch.equal(gradient, weight)
