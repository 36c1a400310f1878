import pytest
import torch
from torch import Tensor

from arena.detectors.techniques.autoencoder import Autoencoder
from tests.detectors.planted import build, noise


def images(n: int = 6, channels: int = 1, side: int = 16) -> Tensor:
    return noise(n, channels, side, side)


def made(side: int = 16, channels: int = 1) -> Autoencoder:
    detector = build("autoencoder", resolution=side, channels=channels)
    assert isinstance(detector, Autoencoder)
    return detector


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
