import numpy as np
import pytest
import scipy.ndimage
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from arena.detectors.heads import Sample
from arena.detectors.techniques.fingerprint import NORM_FLOOR, Fingerprint, FingerprintHead
from arena.generators.controls import Planted
from tests.detectors.planted import Examples, examples, fit, fitted, logits, noise, portraits


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


def residuals(n, seed, amplitude=0.3):
    """Noise, loud in one half of 400 pixels, and in half of the images two generators' fingerprints."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(99).normal(size=(2, 400))
    loudness = np.where(np.arange(400) < 200, 1, 30)
    labels = np.arange(n) % 2
    values = rng.normal(size=(n, 400)) * loudness + amplitude * patterns[labels]
    return Sample(torch.from_numpy(values).float(), torch.from_numpy(labels))


def test_its_logit_is_the_calibrated_difference_of_numpys_correlations():
    train, validation, test = residuals(100, 0), residuals(100, 1), residuals(50, 2)
    head = fitted(FingerprintHead(), train, validation)
    classes = [train.features[train.labels == label].double().numpy() for label in (0, 1)]
    deviation = np.sqrt(np.mean([residual.var(0) for residual in classes], axis=0) + NORM_FLOOR**2)

    def excess(part):
        scaled = part.features.double().numpy() / deviation
        means = [residual.mean(0) / deviation for residual in classes]
        return np.array([[np.corrcoef(row, mean)[0, 1] for mean in means] for row in scaled]) @ [-1, 1]

    platt = LogisticRegression(C=1e3).fit(excess(validation)[:, None], validation.labels)
    np.testing.assert_allclose(
        head(test.features), platt.decision_function(excess(test)[:, None]), rtol=1e-3, atol=1e-3
    )


def test_loud_pixels_do_not_drown_the_fingerprint():
    train, validation, test = residuals(400, 0), residuals(200, 1), residuals(400, 2)
    head = fitted(FingerprintHead(), train, validation)
    assert roc_auc_score(test.labels, head(test.features)) > 0.95
    head.deviation = torch.ones_like(head.deviation)
    assert roc_auc_score(test.labels, head(test.features)) < 0.8


def test_an_image_without_residual_has_a_finite_logit_and_gradient():
    head = fitted(FingerprintHead(), residuals(100, 0), residuals(100, 1))
    nothing = torch.zeros(1, 400, requires_grad=True)
    logit = head(nothing)
    (gradient,) = torch.autograd.grad(logit.sum(), nothing)
    assert logit.isfinite().all()
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
