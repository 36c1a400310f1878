import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from arena.detectors.techniques.spectrum import Spectrum, ring_means
from tests.detectors.planted import examples, fit, logits, noise, textures


def spectrum(resolution=8, channels=1, levels=17):
    return Spectrum(resolution=resolution, channels=channels, levels=levels, epsilon=1e-3)


def authors_profile(image):
    """Mean over rings as ``azimuthalAverage`` of the authors' code has it: sort by radius, and cut where it steps."""
    y, x = np.indices(image.shape)
    middle = x.max() / 2
    radius = np.hypot(x - middle, y - middle).ravel()
    order = np.argsort(radius, kind="stable")
    steps = np.flatnonzero(np.diff(radius[order].astype(int)))  # the last cell of every ring but the outermost
    return np.array([image.ravel()[order][a + 1 : b + 1].mean() for a, b in itertools.pairwise(steps)])


# int(r_max) - 1, with r_max the distance of the corner from (n - 1) / 2.
@pytest.mark.parametrize(("resolution", "rings"), [(8, 3), (9, 4), (16, 9), (32, 20), (64, 43), (128, 88)])
def test_its_rings_are_those_of_the_authors(resolution, rings):
    spectra = np.random.default_rng(0).random((2, resolution, resolution))
    shifted = np.fft.fftshift(spectra, axes=(1, 2))
    expected = np.stack([authors_profile(spectrum) for spectrum in shifted])
    assert expected.shape == (2, rings)
    averaged = torch.from_numpy(spectra).flatten(1) @ ring_means(resolution).double().T
    np.testing.assert_allclose(averaged, expected, rtol=1e-5)


@pytest.mark.parametrize("resolution", [8, 32])
def test_the_first_and_the_last_frequency_are_left_out_and_those_of_the_axes_are_not(resolution):
    matrix = ring_means(resolution).reshape(-1, resolution, resolution)
    nyquist = resolution // 2
    assert (matrix[:, 0, 0] == 0).all()
    assert (matrix[:, nyquist, nyquist] == 0).all()
    assert (matrix[:, 0, nyquist] > 0).sum() == (matrix[:, nyquist, 0] > 0).sum() == 1


@pytest.mark.parametrize(("resolution", "channels"), [(8, 1), (32, 3)])
def test_the_profile_is_that_of_numpys_power_relative_to_its_first_entry(resolution, channels):
    images = noise(3, channels, resolution, resolution)
    power = np.abs(np.fft.fftshift(np.fft.fft2(images.double().numpy().mean(1)), axes=(1, 2))) ** 2
    rings = np.stack([authors_profile(image) for image in power]) + 1e-6
    expected = 10 * np.log10(rings[:, 1:] / rings[:, :1])
    np.testing.assert_allclose(spectrum(resolution, channels).features(images), expected, rtol=1e-5, atol=1e-5)


def test_contrast_and_brightness_do_not_change_the_profile():
    images, detector = noise(3, 1, 32, 32), spectrum(32)
    torch.testing.assert_close(detector.features(images / 2 + 0.3), detector.features(images), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("kind", "low", "high"), [("stripes", 0.95, 1.0), ("checkerboard", 0.4, 0.6)])
def test_it_catches_stripes_and_misses_a_checkerboard_whose_frequency_lies_in_the_outermost_ring(kind, low, high):
    learned, validation, test = (
        examples(textures(n, seed), kind, 4, levels=256) for seed, n in enumerate((600, 300, 600))
    )
    detector = spectrum(32, levels=256)
    fit(detector, learned, validation)
    assert low <= roc_auc_score(test.labels, logits(detector, test)) <= high
