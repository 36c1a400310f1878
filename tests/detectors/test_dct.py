import numpy as np
import pytest
import scipy.fft
import torch

from arena.detectors.dct import Dct, dct_matrix


@pytest.mark.parametrize("n", [2, 8, 33])
def test_the_matrix_is_scipys_orthonormal_transform(n):
    matrix = dct_matrix(n)
    np.testing.assert_allclose(matrix, np.asarray(scipy.fft.dct(np.eye(n), axis=0, norm="ortho")), atol=1e-6)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(n), rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_log_magnitudes_of_scipys_transform(channels):
    images = torch.rand(4, channels, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    dct = Dct(resolution=16, channels=channels, levels=256, epsilon=1e-3)
    expected = np.log(np.abs(np.asarray(scipy.fft.dctn(images.double().numpy(), axes=(2, 3), norm="ortho"))) + 1e-3)
    np.testing.assert_allclose(dct.features(images), expected, atol=1e-3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(dct.features(images), dct.features(images.clone()))
        assert dct.features(images).dtype == torch.float32


def test_prepare_standardises_every_coefficient():
    images = torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 2, 8) - 1
    dct = Dct(resolution=8, channels=1, levels=256, epsilon=1e-3)
    dct.prepare(images)
    standardised = (dct.features(images) - dct.mean) / dct.deviation
    torch.testing.assert_close(standardised.mean(0), torch.zeros(1, 8, 8), rtol=0, atol=1e-4)
    torch.testing.assert_close(standardised.std(0), torch.ones(1, 8, 8), rtol=0, atol=1e-4)
    with torch.no_grad():
        dct.head.weight.fill_(1.0)
    torch.testing.assert_close(dct(images), standardised.sum((1, 2, 3)), rtol=1e-4, atol=1e-3)


def test_before_it_learned_it_prefers_neither_class():
    dct = Dct(resolution=8, channels=1, levels=17, epsilon=1e-3)
    assert torch.equal(dct(torch.rand(5, 1, 8, 8)), torch.zeros(5))
