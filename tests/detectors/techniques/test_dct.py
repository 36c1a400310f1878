import numpy as np
import pytest
import scipy.fft
import torch

from arena.detectors.techniques.dct import Dct, dct_matrix
from tests.detectors.planted import build, build_a, noise


def seen_by(detector, images):
    """Inputs of the network of a detector."""
    seen = []
    hook = detector.network.network.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    detector(images)
    hook.remove()
    return seen


@pytest.mark.parametrize("n", [2, 8, 33])
def test_the_matrix_is_scipys_orthonormal_transform(n):
    matrix = dct_matrix(n)
    np.testing.assert_allclose(matrix, np.asarray(scipy.fft.dct(np.eye(n), axis=0, norm="ortho")), atol=1e-6)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(n), rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_log_magnitudes_of_scipys_transform(channels):
    images = noise(4, channels, 16, 16)
    expected = np.log(np.abs(np.asarray(scipy.fft.dctn(images.double().numpy(), axes=(2, 3), norm="ortho"))) + 1e-3)
    np.testing.assert_allclose(build_a(Dct, "dct", 16, channels, 256).representation(images), expected, atol=1e-3)


def test_without_a_network_it_is_linear_and_at_first_prefers_neither_class():
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    dct = build_a(Dct, "dct")
    assert torch.equal(dct(images), torch.zeros(5))
    for parameter in dct.parameters():
        torch.nn.init.ones_(parameter)
    torch.testing.assert_close(dct(images), dct.representation(images).sum((1, 2, 3)) + 1)


def test_the_linear_one_sees_the_whole_of_a_large_image_and_the_other_its_crops():
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert [tuple(part.shape) for part in seen_by(build("dct", 128, 3, 256), images)] == [(2, 3, 128, 128)]
    assert [tuple(part.shape) for part in seen_by(build("dct_cnn", 128, 3, 256), images)] == [(2, 3, 64, 64)] * 4
