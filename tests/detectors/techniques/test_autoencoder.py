import numpy as np
import pytest
import torch
from torch import Tensor

from arena.core.errors import ArenaError
from arena.detectors.networks.wrappers import ERROR_FLOOR, ErrorHead, bands, log_errors
from arena.detectors.techniques.autoencoder import Autoencoder
from tests.detectors.planted import build


def images(n: int = 6, channels: int = 1, side: int = 16) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def made(side: int = 16, channels: int = 1) -> Autoencoder:
    detector = build("autoencoder", resolution=side, channels=channels)
    assert isinstance(detector, Autoencoder)
    return detector


def test_bands_are_the_haar_transform():
    """Against the matrix of the transform, rows of which are averages and half differences of neighbours."""
    x = images()
    low = np.kron(np.eye(8), [0.5, 0.5])
    high = np.kron(np.eye(8), [0.5, -0.5])
    first, second, rest = bands(x)
    plane = x.numpy()
    expected = [high @ plane @ low.T, low @ plane @ high.T, high @ plane @ high.T]
    for found, wanted in zip(first.unbind(1), (expected[1], expected[0], expected[2]), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert second.shape == (6, 3, 1, 4, 4)
    np.testing.assert_allclose(rest[:, 0], torch.nn.functional.avg_pool2d(x, 4), atol=1e-6)


@pytest.mark.parametrize(("side", "count"), [(4, 1), (8, 4), (12, 4), (36, 7), (64, 13), (15, 1)])
def test_bands_stop_at_four_pixels_or_an_odd_number(side, count):
    assert log_errors(torch.zeros(2, 3, side, side)).shape == (2, count)


def test_a_checkerboard_is_in_the_finest_diagonal_alone():
    board = 0.5 * torch.tensor([[1.0, -1], [-1, 1]]).repeat(8, 8)[None, None]
    errors = log_errors(board).exp() - ERROR_FLOOR
    torch.testing.assert_close(errors, torch.tensor([[0.0, 0, 0.5, 0, 0, 0, 0]]), atol=1e-6, rtol=0)


def test_the_autoencoder_hears_of_reals_alone():
    detector, x = made(), images()
    labels = torch.tensor([0.0, 1, 0, 1, 1, 0])
    detector.loss(x, labels).backward()
    found = [parameter.grad for parameter in detector.autoencoder.parameters()]
    detector.zero_grad()
    (detector.autoencoder(x[labels == 0]) - x[labels == 0]).abs().mean().backward()
    for mine, expected in zip(found, (parameter.grad for parameter in detector.autoencoder.parameters()), strict=True):
        torch.testing.assert_close(mine, expected)


def test_the_head_hears_of_the_labels():
    detector, x = made(), images()
    for labels in (torch.zeros(6), torch.ones(6)):
        detector.zero_grad()
        detector.loss(x, labels).backward()
        last = list(detector.head.parameters())[-2].grad
        assert last is not None
        assert last.abs().sum() > 0


def test_it_learns_to_make_reals_again():
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
def test_what_it_makes_has_the_size_of_the_images(side):
    detector = made(side, 3)
    assert detector.autoencoder(images(2, 3, side)).shape == (2, 3, side, side)
    assert detector.eval()(images(2, 3, side)).shape == (2,)


def test_an_error_of_nothing_is_finite():
    x = torch.zeros(2, 1, 16, 16, requires_grad=True)
    head = ErrorHead(side=16, hidden=4).eval()
    logits = head(x, torch.zeros(2, 1, 16, 16))
    (gradient,) = torch.autograd.grad(logits.sum(), x)
    assert logits.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("key", ["width", "code", "hidden"])
def test_bad_values_are_named(key):
    settings = {"crop": None, "width": 8, "code": 6, "hidden": 16} | {key: 0}
    with pytest.raises(ArenaError, match=rf"^{key}=0: expected at least 1"):
        Autoencoder(resolution=8, channels=1, levels=17, **settings)
