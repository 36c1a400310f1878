import numpy as np
import pytest
import torch

from arena.detectors.techniques.freqnet import ChannelHighPass, PlaneHighPass, SpectralConvolution
from tests.detectors.planted import noise

AXES = (2, 3)


@pytest.mark.parametrize("side", [4, 7, 8, 16, 31, 32])
def test_planes_lose_the_central_block_of_the_shifted_spectrum(side):
    images = noise(2, 3, side, side)
    spectrum = np.fft.fftshift(np.fft.fft2(images.numpy()), axes=AXES)
    middle, quarter = side // 2, side // 4
    spectrum[..., middle - quarter : middle + quarter, middle - quarter : middle + quarter] = 0
    expected = np.fft.ifft2(np.fft.ifftshift(spectrum, axes=AXES)).real
    np.testing.assert_allclose(PlaneHighPass(side)(images), np.maximum(expected, 0), atol=1e-5)


@pytest.mark.parametrize("channels", [4, 8, 12])
def test_channels_lose_the_central_block_of_theirs(channels):
    images = noise(2, channels, 5, 5)
    spectrum = np.fft.fftshift(np.fft.fft(images.numpy(), axis=1), axes=1)
    spectrum[:, channels // 2 - channels // 4 : channels // 2 + channels // 4] = 0
    expected = np.fft.ifft(np.fft.ifftshift(spectrum, axes=1), axis=1).real
    np.testing.assert_allclose(ChannelHighPass(channels)(images), np.maximum(expected, 0), atol=1e-5)


@pytest.mark.parametrize("side", [4, 7, 8])
def test_even_and_odd_parts_are_convolved_as_the_spectrums_real_and_imaginary_parts_would_be(side):
    images, layer = noise(2, 4, side, side), SpectralConvolution(4)
    real, imaginary = (part.weight.detach().numpy()[:, :, 0, 0] for part in (layer.real, layer.imaginary))
    spectrum = np.fft.fft2(images.numpy())
    changed = np.einsum("oc,bchw->bohw", real, spectrum.real) + 1j * np.einsum(
        "oc,bchw->bohw", imaginary, spectrum.imag
    )
    back = np.fft.ifft2(changed)
    np.testing.assert_allclose(back.imag, 0, atol=1e-6)
    np.testing.assert_allclose(layer(images).detach(), np.maximum(back.real, 0), atol=1e-5)


def test_mixed_precision_keeps_the_transform():
    layer, images = PlaneHighPass(8), noise(2, 1, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(images), layer(images.clone()))
        assert layer(images).dtype == torch.float32
