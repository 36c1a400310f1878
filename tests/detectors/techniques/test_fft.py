import numpy as np
import pytest
import torch

from arena.detectors.techniques.fft import Fft
from tests.detectors.planted import build_a, noise, plant


def log_spectrum(images, epsilon=2e-3):
    detector = build_a(Fft, "fft", images.shape[-1], images.shape[1], 256)
    detector.epsilon = epsilon
    return detector.representation(images)


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3), (33, 1)])
def test_it_is_numpys_log_spectrum_between_its_percentiles(side, channels):
    images = noise(3, channels, side, side)
    for image, computed in zip(images.double().numpy(), log_spectrum(images), strict=True):
        for channel, seen in zip(image, computed, strict=True):
            # Of images in [0, 1] with the authors' 1e-3: the same but for a factor, and for the clipped mean.
            logs = np.log(np.abs(np.fft.fft2((channel + 1) / 2)) + 1e-3)
            low, high = np.percentile(np.log(np.abs(np.fft.fft2(channel / 2)) + 1e-3), (5, 95))
            expected = np.clip(2 * (logs - low) / (high - low) - 1, -1, 1)
            np.testing.assert_allclose(seen.numpy()[1:, 1:], expected[1:, 1:], atol=1e-4)


def test_a_planted_peak_is_where_it_was_planted():
    grey = noise(4, 1, 32, 32) / 8
    peak = plant(grey, "spectral_peak", 16, 256, frequency=(0.25, 0.125))
    change = (log_spectrum(peak) - log_spectrum(grey))[:, 0].mean(0)
    assert change[4, 8] == change.max()
    assert change[28, 24] == pytest.approx(float(change.max()), abs=1e-3)


def test_its_gradient_is_that_of_the_recipe_percentiles_included():
    images = noise(1, 1, 8, 8).requires_grad_()
    weights, way = noise(1, 1, 8, 8).flip(-1), noise(1, 1, 8, 8).flip(-2)
    (gradient,) = torch.autograd.grad((log_spectrum(images, 1e-1) * weights).sum(), images)
    step = 1e-2 * way
    ahead, behind = ((log_spectrum(images.detach() + s, 1e-1) * weights).sum() for s in (step, -step))
    assert float((gradient * way).sum()) == pytest.approx(float((ahead - behind) / 2e-2), rel=0.05)
