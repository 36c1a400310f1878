import pytest
import torch
from torch import Tensor

from arena.detectors.base import FittedDetector
from arena.detectors.gallery import Gallery
from arena.detectors.heads.linear import LinearSvm
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_float

LEVELS = 5
IMAGES = torch.randint(0, 256, (11, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Corner(FittedDetector):
    """Its feature is the first pixel; it counts the images it looked at."""

    differentiable, artefact = True, "checkerboard"

    def __init__(self) -> None:
        super().__init__(resolution=12, channels=3, levels=LEVELS)
        self.head, self.looked = LinearSvm(), 0

    def features(self, images: Tensor) -> Tensor:
        self.looked += len(images)
        return images[:, :, 0, 0]


@pytest.fixture
def gallery():
    return Gallery(IMAGES, Evidence(levels=LEVELS))


def test_its_images_came_down_the_evidence_path(gallery):
    assert torch.equal(gallery.images(torch.arange(11)), Evidence(levels=LEVELS)(to_float(IMAGES)))
    assert len(gallery.images(torch.arange(11)).unique()) == LEVELS


def test_features_are_taken_once_whoever_asks(gallery):
    one, other = Corner(), Corner()
    gallery.measure({"corner": one})
    gallery.measure({"corner": other})  # a fresh judge of the same technique
    assert (one.looked, other.looked) == (11, 0)
    which = torch.tensor([7, 2, 2])
    assert torch.equal(gallery.features("corner", which), gallery.images(which)[:, :, 0, 0])


def test_every_judge_stands_where_the_gallery_is_even_if_its_features_were_taken(gallery, monkeypatch):
    """Its head scores there: on an accelerator the second fold's judge would else stay on the processor."""
    moved = []
    monkeypatch.setattr(Corner, "to", lambda self, device: moved.append((self, device)) or self)
    one, other = Corner(), Corner()
    gallery.measure({"corner": one})
    gallery.measure({"corner": other})
    assert moved == [(one, gallery.device), (other, gallery.device)]


@pytest.mark.parametrize("side", [4, 12, 40])
def test_a_glimpse_is_a_square_of_native_pixels_where_it_was_asked_for(gallery, side):
    which, at = torch.tensor([3, 0, 3]), torch.tensor([[0.0, 0.0], [1.0, 0.5], [0.49, 1.0]])
    found, whole = gallery.glimpses(which, side, at), gallery.images(which)
    if side >= 12:
        assert torch.equal(found, whole)
        return
    for glimpse, image, (top, left) in zip(found, whole, [(0, 0), (8, 4), (4, 8)], strict=True):
        assert torch.equal(glimpse, image[:, top : top + side, left : left + side])


def test_chunks_are_small_where_images_are_large():
    large = Gallery(torch.zeros(9, 3, 1024, 1024, dtype=torch.uint8), Evidence(levels=256))
    assert max(map(len, large.chunks(torch.arange(9)))) == 1
    assert [len(chunk) for chunk in Gallery(IMAGES, Evidence()).chunks(torch.arange(11))] == [11]
