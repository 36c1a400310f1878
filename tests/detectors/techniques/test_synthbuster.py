import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from arena.core.errors import ArenaError
from arena.detectors.techniques.synthbuster import Synthbuster, cross_difference, harmonics
from arena.imaging.images import on_levels
from tests.detectors.planted import auc_on_textures, noise


def synthbuster(resolution=32, channels=1, levels=256, period=8):
    return Synthbuster(
        resolution=resolution,
        channels=channels,
        levels=levels,
        period=period,
        trees=60,
        leaves=8,
        learning_rate=0.1,
        patience=15,
    )


def test_the_cross_difference_is_scipys_convolution_with_the_signs_of_a_checkerboard():
    image = noise(1, 1, 12, 9)[0, 0]
    expected = np.abs(convolve2d(image.numpy(), np.array([[1, -1], [-1, 1]]), "valid"))
    np.testing.assert_allclose(cross_difference(image), expected, atol=1e-6)


@pytest.mark.parametrize("period", [8, 16])
def test_harmonics_are_the_cells_of_numpys_transform_at_multiples_of_an_eighth(period):
    residual = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    expected = np.abs(np.fft.rfft2(residual.numpy()))[..., :: 32 // period, :: 32 // period] / 32**2
    np.testing.assert_allclose(harmonics(residual, 32, period), expected, atol=1e-12)


def test_what_a_residual_lacks_is_filled_with_its_mean():
    residual = torch.rand(1, 1, 31, 31, generator=torch.Generator().manual_seed(0)).double()
    filled = torch.full((1, 1, 32, 32), float(residual.mean())).double()
    filled[..., :31, :31] = residual
    torch.testing.assert_close(harmonics(residual, 32, 8), harmonics(filled, 32, 8))
    flat = harmonics(torch.full((1, 1, 31, 31), 3.0).double(), 32, 8)
    assert flat[0, 0, 0, 0] == 3
    assert flat.flatten()[1:].abs().max() < 1e-12


@pytest.mark.parametrize(("side", "whole"), [(8, 8), (32, 32), (37, 32)])
def test_it_has_40_features_of_each_channel_from_whole_periods(side, whole):
    images = noise(2, 3, side, side)
    computed = synthbuster(side, 3).features(images)
    assert computed.shape == (2, 3 * 40)
    residual = cross_difference(images.double()) * 127.5
    torch.testing.assert_close(computed, harmonics(residual, whole, 8).flatten(1))


def test_a_pattern_of_period_four_is_a_peak_at_a_quarter():
    place = torch.arange(32)
    pattern = ((place[:, None] // 2 + place // 2) % 2).double()[None, None]
    magnitudes = synthbuster().features(on_levels(pattern - 0.5, 256)).reshape(8, 5)
    assert magnitudes[4, 4] > 10 * magnitudes[1::2].max()
    assert magnitudes[4, 4] > 10 * magnitudes[:, 1::2].max()


@pytest.mark.parametrize("kind", ["checkerboard", "spectral_peak"])
def test_it_catches_a_trace_of_period_two_and_one_of_period_four(kind):
    assert auc_on_textures("synthbuster", kind) > 0.9


@pytest.mark.parametrize("kind", ["colour_shift", None])
def test_it_reads_one_half_on_another_brightness_and_on_real_images_called_fake(kind):
    assert 0.4 < auc_on_textures("synthbuster", kind) < 0.6


def test_a_period_longer_than_the_image_is_refused():
    with pytest.raises(ArenaError, match=r"period=16: expected at most the side of 8 pixels"):
        synthbuster(8, period=16)
