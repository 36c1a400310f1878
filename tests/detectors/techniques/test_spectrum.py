import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from arena.detectors.techniques.spectrum import Spectrum, ring_means
from arena.imaging.images import on_levels, to_uint8
from tests.detectors.planted import examples, fit, logits, noise


def spectrum(resolution=8, channels=1, levels=17):
    return Spectrum(resolution=resolution, channels=channels, levels=levels, epsilon=1e-3)


def clouds(n, seed, side=32):
    """Grey images of 256 levels with the falling spectrum of a photograph, clear of black and white."""
    rng = np.random.default_rng(seed)
    f = np.fft.fftfreq(side)
    falloff = 1 / np.maximum(np.hypot(f[:, None], f[None]), 1 / side)
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, 1, side, side))) * falloff).real
    field = 0.25 * field / field.std((2, 3), keepdims=True)
    return to_uint8(
        on_levels(torch.from_numpy(field + 0.03 * rng.normal(size=field.shape)).float().clamp(-0.9, 0.9), 256)
    )


# 20, 43 and 88: int(r_max) - 1 of the authors' radialProfile.py; at 8 pixels that would stop short of Nyquist.
@pytest.mark.parametrize(("resolution", "rings"), [(8, 5), (16, 9), (32, 20), (64, 43), (128, 88)])
def test_as_many_rings_as_the_authors_have_and_none_empty(resolution, rings):
    matrix = ring_means(resolution)
    assert matrix.shape == (rings, resolution**2)
    assert matrix.isfinite().all()
    torch.testing.assert_close(matrix.sum(1), torch.ones(rings))
    nyquist = matrix.reshape(rings, resolution, resolution)[:, 0, resolution // 2]
    assert nyquist[resolution // 2] > 0
    corner = matrix.reshape(rings, resolution, resolution)[:, resolution // 2, resolution // 2]
    assert (corner == 0).all()


@pytest.mark.parametrize(("resolution", "channels"), [(8, 1), (32, 3)])
def test_the_profile_is_numpys(resolution, channels):
    images = noise(3, channels, resolution, resolution)
    detector = spectrum(resolution, channels)
    power = np.abs(np.fft.fftshift(np.fft.fft2(images.double().numpy().mean(1)), axes=(1, 2))) ** 2
    y, x = np.indices((resolution, resolution)) - resolution // 2
    radius = np.hypot(x, y).astype(int)
    rings = np.stack([power[:, radius == k].mean(1) for k in range(len(detector.rings))], axis=1)
    expected = 10 * np.log10(rings + 1e-6)
    np.testing.assert_allclose(detector.features(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "low", "high"), [("stripes", 0.95, 1.0), ("checkerboard", 0.4, 0.6)])
def test_it_catches_stripes_and_misses_a_checkerboard_whose_frequency_lies_beyond_its_last_ring(kind, low, high):
    learned, validation, test = (
        examples(clouds(n, seed), kind, 4, levels=256) for seed, n in enumerate((600, 300, 600))
    )
    detector = spectrum(32, levels=256)
    fit(detector, learned, validation)
    assert low <= roc_auc_score(test.labels, logits(detector, test)) <= high
