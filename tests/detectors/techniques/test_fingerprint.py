import numpy as np
import pytest
import scipy.ndimage
import torch
from sklearn.metrics import roc_auc_score

from arena.detectors.techniques.fingerprint import Fingerprint
from arena.generators.controls import Planted
from tests.detectors.planted import Examples, examples, fit, logits, noise, portraits


def fingerprint(resolution=32, channels=3, **keys):
    return Fingerprint(resolution=resolution, channels=channels, levels=256, **({"sigma": 0.5, "crop": 128} | keys))


@pytest.mark.parametrize("sigma", [0.5, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_its_residual_is_that_of_scipys_gaussian(sigma, channels):
    images = noise(2, channels, 16, 16)
    grey = images.double().numpy().mean(1) * 127.5
    reach = int(np.ceil(2 * sigma))
    smooth = [scipy.ndimage.gaussian_filter(image, sigma, mode="mirror", radius=reach) for image in grey]
    computed = fingerprint(16, channels, sigma=sigma).features(images)
    np.testing.assert_allclose(computed, (grey - smooth).reshape(2, -1), atol=1e-3)


def test_of_large_images_it_sees_the_middle():
    images = noise(2, 1, 20, 20)
    whole = fingerprint(20, 1).features(images).reshape(2, 20, 20)
    assert torch.equal(fingerprint(20, 1, crop=8).features(images).reshape(2, 8, 8), whole[:, 6:14, 6:14])


def test_1500_images_of_256_pixels_take_less_than_200_megabytes():
    features = fingerprint(256).features(torch.zeros(1, 3, 256, 256))
    assert 1500 * features.numel() * features.element_size() < 200e6


def test_it_learns_a_fixed_pattern_and_misses_one_that_moves():
    images = portraits()
    parts = [examples(part, "noise_residual", 8, levels=256) for part in (images[:400], images[400:600], images[600:])]
    detector = fingerprint()
    fit(detector, parts[0], parts[1])
    computed = detector.head.get_buffer("fingerprints").diff(dim=1).flatten()
    planted = Planted(kind="noise_residual", amplitude=8, resolution=32, channels=3, levels=256)
    assert np.corrcoef(computed, planted.pattern().flatten())[0, 1] > 0.5
    test = parts[2]
    assert roc_auc_score(test.labels, logits(detector, test)) > 0.95
    # Both classes: the simulated camera has left a pattern of its own in the reals, which would be missed.
    moved = Examples(test.images.roll((3, 5), (2, 3)), test.labels)
    assert roc_auc_score(test.labels, logits(detector, moved)) < 0.75
