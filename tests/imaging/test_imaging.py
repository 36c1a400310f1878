from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from arena.core.degradations import LADDERS
from arena.data.digits import Digits
from arena.imaging.evidence import Evidence, codec, degraded
from arena.imaging.images import on_levels, straight_through, to_float, to_uint8

PATHS = [
    Evidence(),
    Evidence(levels=17),
    Evidence(resize=16),
    Evidence(jpeg=75),
    Evidence(levels=64, resize=8, jpeg=50),
]


def noise(n, channels, side):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2.4 - 1.2


# Ranges and grey levels.


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


# The evidence path.


def test_digits_survive_bytes_and_evidence_exactly():
    images = Digits(resolution=8, seed=0, planted_amplitude=2).reals.images
    assert len(images.unique()) == 17
    seen = Evidence(levels=17)(to_float(images))
    ink = (seen.double() + 1) * 8
    assert (ink - ink.round()).abs().max() < 1e-6
    assert torch.equal(to_uint8(seen), images)


@pytest.mark.parametrize("levels", [17, 256])
def test_values_lie_on_the_levels_and_stay_there(levels):
    evidence = Evidence(levels=levels)
    seen = evidence(noise(4, 3, 8))
    assert torch.equal(seen, on_levels(seen, levels))
    assert torch.equal(evidence(seen), seen)


def test_bytes_of_a_photograph_pass_unchanged():
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(to_uint8(Evidence()(to_float(images))), images)


@pytest.mark.parametrize("evidence", PATHS)
@pytest.mark.parametrize("channels", [1, 3])
def test_reals_and_fakes_are_treated_alike_and_an_image_does_not_depend_on_its_batch(evidence, channels):
    images = noise(6, channels, 16)
    together, side = evidence(images), evidence.resolution(16)
    assert together.shape == (6, channels, side, side)
    assert torch.equal(together, evidence(images.clone().requires_grad_()).detach())
    assert torch.equal(together, torch.cat([evidence(image[None]) for image in images]))


def test_rounding_passes_the_gradient_straight_through_twice():
    images = noise(2, 1, 8).double().clamp(-0.9, 0.9).requires_grad_()
    seen = Evidence(levels=17)(images)
    (gradient,) = torch.autograd.grad((seen**3).sum(), images, create_graph=True)
    torch.testing.assert_close(gradient, 3 * seen**2)
    # The gradient penalty of R1 differentiates once more: d/dx of sum (3 s^2)^2 is 36 s^3 under the same identity.
    (second,) = torch.autograd.grad(gradient.square().sum(), images)
    torch.testing.assert_close(second, 36 * seen.detach() ** 3)


def test_resize_is_antialiased_and_on_the_levels():
    stripes = torch.ones(1, 1, 16, 16)
    stripes[..., ::2] = -1
    seen = Evidence(resize=8)(stripes)
    assert seen[..., 2:-2].abs().max() < 0.05  # without the filter every second stripe would be left: all 1 or all -1
    assert torch.equal(seen, on_levels(seen, 256))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [30, 90])
def test_jpeg_has_the_value_of_the_codec_and_a_gradient(channels, quality):
    images = (noise(3, channels, 16) / 2).requires_grad_()
    seen = Evidence(jpeg=quality)(images)
    for pixels, image in zip(to_uint8(images.detach()), seen, strict=True):
        array = pixels.permute(1, 2, 0).numpy()
        buffer = BytesIO()
        Image.fromarray(array[..., 0] if channels == 1 else array).save(buffer, "JPEG", quality=quality)
        coded = np.array(Image.open(buffer)).reshape(array.shape)
        assert torch.equal(to_uint8(image), torch.from_numpy(coded).permute(2, 0, 1))
    weight = torch.linspace(-1, 1, 16).expand_as(seen)
    (gradient,) = torch.autograd.grad((seen * weight).sum(), images)
    assert gradient.isfinite().all()
    # Shorter than the identity's (rounding a coefficient passes a quarter on average), but it points that way.
    assert torch.cosine_similarity(gradient.flatten(), weight.flatten(), 0) > 0.4


# Degradations.


def pictures(n: int = 32, channels: int = 3, side: int = 16, levels: int = 256) -> torch.Tensor:
    """White noise halfway between black and white, where nothing is clipped."""
    draws = torch.Generator().manual_seed(0)
    return to_uint8(on_levels(0.3 * torch.rand((n, channels, side, side), generator=draws) - 0.15, levels))


@pytest.mark.parametrize("kind", LADDERS)
@pytest.mark.parametrize(("channels", "side", "levels"), [(1, 8, 17), (3, 16, 256)])
def test_each_rung_takes_more_away_than_the_one_before(kind, channels, side, levels):
    images = pictures(channels=channels, side=side, levels=levels)
    ladder = LADDERS[kind]
    assert torch.equal(degraded(images, kind, ladder.none, levels, seed=0), images)
    lost = []
    for level in ladder.levels:
        result = degraded(images, kind, level, levels, seed=0)
        assert result.dtype == torch.uint8
        assert result.shape == images.shape
        assert torch.equal(to_uint8(on_levels(to_float(result), levels)), result)  # on the data's grey levels
        lost.append(float((to_float(result) - to_float(images)).square().mean()))
    assert all(before <= after * 1.05 for before, after in pairwise(lost))
    assert lost[-1] > 1.1 * lost[0]


def test_noise_has_the_deviation_it_is_named_by_and_is_its_own_on_every_image():
    images = torch.full((200, 1, 16, 16), 128, dtype=torch.uint8)
    result = degraded(images, "noise", 8, 256, seed=1).float() - 128
    assert result.std() == pytest.approx(8, rel=0.01)
    assert abs(torch.corrcoef(result.flatten(1))[0, 1]) < 0.2
    twice = degraded(images, "noise", 16, 256, seed=1).float() - 128
    assert torch.corrcoef(torch.stack([result.flatten(), twice.flatten()]))[0, 1] > 0.99
    assert not torch.equal(degraded(images, "noise", 8, 256, seed=2).float() - 128, result)


def test_a_checkerboard_is_gone_once_the_side_is_halved_or_blurred():
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    images = (96 + 64 * board).to(torch.uint8).expand(4, 3, 16, 16)
    assert degraded(images, "downscale", 2, 256, seed=0).float()[..., 2:-2, 2:-2].std() < 2
    assert degraded(images, "blur", 1.4, 256, seed=0).float()[..., 4:-4, 4:-4].std() < 2
    assert images.float().std() > 30


def test_degrading_by_jpeg_is_the_codec():
    images = pictures()
    assert torch.equal(degraded(images, "jpeg", 50, 256, seed=0), to_uint8(codec(to_float(images), 50)))
