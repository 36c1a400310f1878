import numpy as np
import pytest
import scipy.fft
import torch

from arena.core.errors import ArenaError
from arena.detectors.networks.small import FrankNetwork
from arena.detectors.techniques.dct import Dct, dct_matrix, log_dct
from tests.detectors.planted import build


def seen_by(detector, images):
    """What the network of a detector is given."""
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
    images = torch.rand(4, channels, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = np.log(np.abs(np.asarray(scipy.fft.dctn(images.double().numpy(), axes=(2, 3), norm="ortho"))) + 1e-3)
    np.testing.assert_allclose(log_dct(images, 1e-3), expected, atol=1e-3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(log_dct(images, 1e-3), log_dct(images.clone(), 1e-3))
        assert log_dct(images, 1e-3).dtype == torch.float32


@pytest.mark.parametrize("technique", ["dct", "dct_cnn"])
def test_prepare_standardises_every_coefficient(technique):
    images = torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 2, 8) - 1
    detector = build(technique)
    assert isinstance(detector, Dct)
    detector.prepare(images)
    (standardised,) = seen_by(detector, images)
    torch.testing.assert_close(standardised.mean(0), torch.zeros(1, 8, 8), rtol=0, atol=1e-4)
    torch.testing.assert_close(standardised.std(0), torch.ones(1, 8, 8), rtol=0, atol=1e-4)


def test_without_a_network_it_is_linear_and_at_first_prefers_neither_class():
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    dct = build("dct")
    assert torch.equal(dct(images), torch.zeros(5))
    for parameter in dct.parameters():
        torch.nn.init.ones_(parameter)
    torch.testing.assert_close(dct(images), log_dct(images, 1e-3).sum((1, 2, 3)) + 1)


def test_the_linear_one_sees_the_whole_of_a_large_image_and_the_other_its_glimpses():
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert [tuple(part.shape) for part in seen_by(build("dct", 128, 3, 256), images)] == [(2, 3, 128, 128)]
    assert [tuple(part.shape) for part in seen_by(build("dct_cnn", 128, 3, 256), images)] == [(2, 3, 64, 64)] * 4


def test_the_network_has_the_papers_size():
    # At 128 pixels and 3 channels, summed up from the published layers: 84 + 224 + 1168 + 4640 and 32 * 32 * 32 + 1.
    network = FrankNetwork(channels=3, side=128)
    assert sum(parameter.numel() for parameter in network.parameters()) == 84 + 224 + 1168 + 4640 + 32**3 + 1
    assert network(torch.zeros(2, 3, 128, 128)).shape == (2,)


def test_an_epsilon_of_0_is_refused():
    with pytest.raises(ArenaError, match=r"^epsilon=0"):
        Dct(resolution=8, channels=1, levels=17, epsilon=0.0)
