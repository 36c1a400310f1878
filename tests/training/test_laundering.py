"""A network that changes images within a bound, so that detectors take them for real."""

import pytest
import torch
from torch import Tensor

from arena.detectors.base import Detector
from arena.generators.launder import BoundedChange
from arena.imaging.evidence import Evidence
from arena.training.laundering import laundered, laundering_network

BOUND, LEVELS = 2, 17


class Bright(Detector):
    """Takes bright images for fake. Against it, an image is best made darker by the whole bound."""

    def forward(self, images: Tensor) -> Tensor:
        return 8 * images.mean((1, 2, 3))


def fakes(n: int, seed: int) -> Tensor:
    """Return images of 17 grey levels of 255, from 4 upwards, so that every pixel can become darker by the bound."""
    levels = torch.randint(4, LEVELS, (n, 1, 8, 8), generator=torch.Generator().manual_seed(seed))
    return (levels * 255 / (LEVELS - 1)).round().to(torch.uint8)


def network(seed: int = 0) -> BoundedChange:
    device = torch.device("cpu")
    detector, evidence = Bright(resolution=8, channels=1, levels=LEVELS), Evidence(levels=LEVELS)
    return laundering_network(fakes(64, 1), [detector], evidence, levels=LEVELS, bound=BOUND, seed=seed, device=device)


@pytest.fixture(scope="module")
def trained() -> BoundedChange:
    return network()


def test_unseen_images_come_to_the_best_change_within_the_bound(trained: BoundedChange):
    images = fakes(200, 2)
    found = laundered(images, trained, seed=3)
    moved = ((found.int() - images.int()) * (LEVELS - 1) / 255).round()
    assert moved.min() == -BOUND
    assert (moved == -BOUND).float().mean() > 0.95


def test_it_depends_on_its_seed_alone_and_leaves_other_streams(trained: BoundedChange):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again, other = network(), network(seed=1)
    assert torch.equal(torch.rand(3), expected)
    same = {name: torch.equal(value, trained.get_parameter(name)) for name, value in again.named_parameters()}
    assert all(same.values()), same
    assert not torch.equal(other.last.get_parameter("weight"), trained.last.get_parameter("weight"))
    images = fakes(20, 2)
    assert torch.equal(laundered(images, trained, seed=3), laundered(images, again, seed=3))


@pytest.mark.parametrize("n", [0, 1, 3])
def test_any_number_of_images_keeps_shape_and_grey_levels(trained: BoundedChange, n: int):
    images = fakes(n, 4)
    found = laundered(images, trained, seed=0)
    assert (found.shape, found.dtype) == (images.shape, torch.uint8)
    assert torch.isin(found, (torch.arange(LEVELS) * 255 / (LEVELS - 1)).round().to(torch.uint8)).all()
