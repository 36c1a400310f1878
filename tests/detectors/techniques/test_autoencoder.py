import numpy as np
import pytest
import torch
from torch import Tensor

from arena.detectors.techniques.autoencoder import ERROR_FLOOR, Autoencoder, ErrorHead, bands, log_errors
from tests.detectors.planted import build_a, noise


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


def images(n: int = 6, channels: int = 1, side: int = 16) -> Tensor:
    return noise(n, channels, side, side)


def made(side: int = 16, channels: int = 1) -> Autoencoder:
    return build_a(Autoencoder, "autoencoder", side, channels)


def test_the_autoencoder_learns_from_reals_alone():
    detector, x = made(), images()
    labels = torch.tensor([0.0, 1, 0, 1, 1, 0])
    detector.loss(x, labels).backward()
    own = [parameter.grad for parameter in detector.autoencoder.parameters()]
    detector.zero_grad()
    (detector.autoencoder(x[labels == 0]) - x[labels == 0]).abs().mean().backward()
    for mine, expected in zip(own, (parameter.grad for parameter in detector.autoencoder.parameters()), strict=True):
        torch.testing.assert_close(mine, expected)


def test_the_head_learns_from_the_labels():
    detector, x = made(), images()
    for labels in (torch.zeros(6), torch.ones(6)):
        detector.zero_grad()
        detector.loss(x, labels).backward()
        last = list(detector.head.parameters())[-2].grad
        assert last is not None
        assert last.abs().sum() > 0


def test_it_learns_to_reconstruct_reals():
    detector, x = made(side=8), images(32, side=8).cumsum(-1) / 8
    optimizer = torch.optim.Adam(detector.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        detector.loss(x, torch.zeros(32)).backward()
        optimizer.step()
        losses.append(float((detector.autoencoder(x) - x).detach().abs().mean()))
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("side", [8, 10, 15, 30, 64])
def test_a_reconstruction_has_the_size_of_the_image(side):
    detector = made(side, 3)
    assert detector.autoencoder(images(2, 3, side)).shape == (2, 3, side, side)
    assert detector.eval()(images(2, 3, side)).shape == (2,)
