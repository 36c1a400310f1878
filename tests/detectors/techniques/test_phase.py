import numpy as np
import pytest
import torch
import torch.nn.functional as F

from arena.detectors.techniques.phase import Phase, phase_image
from tests.detectors.planted import auc_on_textures, build_a, noise


def test_the_phase_image_is_numpys_inverse_transform_of_the_phases():
    images = noise(2, 3, 16, 16)
    waves = np.fft.fft2(images.double().numpy().mean(1))
    expected = np.fft.ifft2(np.exp(1j * np.angle(waves))).real * 16
    np.testing.assert_allclose(phase_image(images, 1e-9)[:, 0], expected, atol=1e-4)


def test_contrast_does_not_change_it_and_its_mean_square_is_one():
    images = noise(2, 1, 32, 32)
    torch.testing.assert_close(phase_image(images / 3, 1e-6), phase_image(images, 1e-6), rtol=0, atol=1e-3)
    torch.testing.assert_close(phase_image(images, 1e-6).square().mean((1, 2, 3)), torch.ones(2), rtol=0, atol=1e-3)


def test_a_frequency_fades_out_where_its_phase_is_not_defined():
    flat = torch.full((1, 1, 8, 8), 0.5)
    assert phase_image(flat, 1e-2).allclose(torch.full((), 1 / 8), atol=1e-3)  # zero frequency alone
    assert (phase_image(torch.zeros(1, 1, 8, 8), 1e-2) == 0).all()


def test_doubled_pixels_lose_their_phase_at_the_highest_frequencies():
    doubled = F.interpolate(noise(1, 1, 16, 16), scale_factor=2, mode="nearest")
    waves = torch.fft.fft2(phase_image(doubled, 1e-2).double())[0, 0]
    assert waves[16].abs().max() < 1e-3
    assert waves[1:16, 1:16].abs().min() > 16


def test_its_network_sees_the_image_and_its_phase():
    images, detector = noise(2, 3, 32, 32), build_a(Phase, "phase", 32, 3, 256)
    seen = detector.representation(images)
    assert seen.shape == (2, 4, 32, 32)
    assert torch.equal(seen[:, :3], images)
    assert torch.equal(seen[:, 3:], phase_image(images, 1e-2))


@pytest.mark.slow
def test_it_catches_a_spectral_peak():
    assert auc_on_textures("phase", "spectral_peak", amplitude=16) > 0.9


@pytest.mark.slow
def test_it_reads_one_half_on_real_images_called_fake():
    assert 0.4 < auc_on_textures("phase", None) < 0.6
