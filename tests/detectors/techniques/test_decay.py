import itertools

import numpy as np
import pytest
import torch

from arena.core.errors import DoesNotApply
from arena.detectors.techniques.decay import Decay, high_bins
from tests.detectors.planted import noise


def decay(resolution=64, channels=1, **keys):
    right = {"threshold": 0.75, "neighbours": 5, "epsilon": 1e-3}
    return Decay(resolution=resolution, channels=channels, levels=256, **(right | keys))


def power_law(exponent, resolution=64, n=8):
    """Grey images around middle grey, whose magnitude falls with exactly this power of the frequency."""
    rng = np.random.default_rng(0)
    f = np.fft.fftfreq(resolution)
    radius = np.hypot(f[:, None], f[None])
    radius[0, 0] = 1
    phases = np.fft.fft2(rng.normal(size=(n, resolution, resolution)))
    spectrum = phases / np.abs(phases) * radius**exponent
    spectrum[:, 0, 0] = 0
    field = np.fft.ifft2(spectrum).real
    return torch.from_numpy(field / np.abs(field).max())[:, None]


@pytest.mark.parametrize(("resolution", "bins"), [(16, 3), (32, 6), (64, 11), (256, 45)])
def test_the_bins_are_a_frequency_step_wide_from_the_threshold_to_the_corner(resolution, bins):
    matrix, middle = high_bins(resolution, 0.75)
    assert matrix.shape == (bins, resolution**2)
    torch.testing.assert_close(matrix.sum(1), torch.ones(bins).double())
    step = torch.fft.fftfreq(resolution).double()
    radius = torch.hypot(step[:, None], step[None]).flatten() * 2**0.5  # 1 at the corner
    assert torch.equal(matrix.sum(0) > 0, radius >= 0.75 - 1e-9)
    assert matrix[-1, resolution // 2 * (resolution + 1)] > 0
    assert (middle.diff() > 0).all()
    width = (1 - 0.75) / bins
    torch.testing.assert_close(matrix @ radius, middle, rtol=0, atol=width / 2)


@pytest.mark.parametrize("exponent", [-1.0, -2.0, -4.0])
def test_it_finds_the_exponent_of_noise_made_of_a_power_law(exponent):
    computed = decay(128, epsilon=1e-9).features(power_law(exponent, 128))
    np.testing.assert_allclose(computed[:, 0], exponent, atol=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_its_features_are_numpys_fit_pinned_at_the_threshold(channels):
    images = noise(4, channels, 32, 32)
    intensity = (images.double().numpy().mean(1) + 1) / 2
    magnitude = np.abs(np.fft.fft2(intensity)) / np.abs(intensity.sum((1, 2)))[:, None, None]
    f = np.fft.fftfreq(32)
    radius = np.hypot(f[:, None], f[None]) / np.hypot(0.5, 0.5)
    edges = np.linspace(0.75, 1, 7)
    edges[:-1] -= 1e-9
    edges[-1] += 1e-9
    inside = [(radius >= low) & (radius < high) for low, high in itertools.pairwise(edges)]
    reduced = np.log([[np.sqrt(np.mean(image[ring] ** 2)) for ring in inside] for image in magnitude])
    middle = (edges[1:] + edges[:-1]) / 2
    x = np.log(middle / middle[0])
    exponents = [np.linalg.lstsq(x[:, None], row - row[0], rcond=None)[0][0] for row in reduced]
    expected = np.stack([exponents, reduced[:, 0], reduced[:, -1]], 1)
    np.testing.assert_allclose(decay(32, channels).features(images), expected, rtol=1e-4, atol=1e-4)


def test_brightness_alone_changes_nothing():
    images = 0.2 * power_law(-2.0, 32)
    darker = 0.5 * (images + 1) - 1
    torch.testing.assert_close(decay(32).features(darker), decay(32).features(images), rtol=1e-2, atol=1e-2)


def test_a_checkerboard_raises_the_end_and_leaves_the_threshold():
    images = 0.3 * power_law(-1.0, 32)
    board = 0.05 * (-1.0) ** torch.arange(32)
    before, after = decay(32).features(images), decay(32).features(images + board[:, None] * board.sign())
    torch.testing.assert_close(after[:, 1], before[:, 1], rtol=1e-6, atol=1e-6)
    assert (after[:, 2] > before[:, 2] + 1).all()
    assert (after[:, 0] > before[:, 0]).all()


def test_images_of_eight_pixels_have_too_few_frequencies():
    with pytest.raises(DoesNotApply, match="needs 16 pixels a side"):
        decay(8)
