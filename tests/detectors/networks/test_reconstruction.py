import numpy as np
import pytest
import torch

from arena.detectors.techniques.autoencoder import ERROR_FLOOR, ErrorHead, bands, log_errors
from tests.detectors.planted import noise


def test_bands_are_the_haar_transform():
    """Against its matrix, whose rows are averages and half differences of neighbours."""
    x = noise(6, 1, 16, 16)
    low = np.kron(np.eye(8), [0.5, 0.5])
    high = np.kron(np.eye(8), [0.5, -0.5])
    first, second, rest = bands(x)
    plane = x.numpy()
    expected = [high @ plane @ low.T, low @ plane @ high.T, high @ plane @ high.T]
    for band, wanted in zip(first.unbind(1), (expected[1], expected[0], expected[2]), strict=True):
        np.testing.assert_allclose(band, wanted, atol=1e-6)
    assert second.shape == (6, 3, 1, 4, 4)
    np.testing.assert_allclose(rest[:, 0], torch.nn.functional.avg_pool2d(x, 4), atol=1e-6)


@pytest.mark.parametrize(("side", "count"), [(4, 1), (8, 4), (12, 4), (36, 7), (64, 13), (15, 1)])
def test_bands_stop_at_four_pixels_or_an_odd_number(side, count):
    assert log_errors(torch.zeros(2, 3, side, side)).shape == (2, count)


def test_a_checkerboard_is_in_the_finest_diagonal_alone():
    board = 0.5 * torch.tensor([[1.0, -1], [-1, 1]]).repeat(8, 8)[None, None]
    errors = log_errors(board).exp() - ERROR_FLOOR
    torch.testing.assert_close(errors, torch.tensor([[0.0, 0, 0.5, 0, 0, 0, 0]]), atol=1e-6, rtol=0)


def test_an_error_of_zero_has_a_finite_logit_and_gradient():
    x = torch.zeros(2, 1, 16, 16, requires_grad=True)
    head = ErrorHead(side=16, hidden=4).eval()
    logits = head(x, torch.zeros(2, 1, 16, 16))
    (gradient,) = torch.autograd.grad(logits.sum(), x)
    assert logits.isfinite().all()
    assert gradient.isfinite().all()
