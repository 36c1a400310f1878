"""What is computed once a batch, and is gone with it."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from arena.detectors.gallery import Gallery, score_all
from arena.detectors.shared import crops, share, shared
from arena.imaging.evidence import Evidence
from tests.detectors.planted import build


@pytest.fixture
def counted():
    calls = []

    @shared
    def feature(images, power=1):
        calls.append(threading.get_ident())
        return images**power

    return feature, calls


def test_of_a_shared_batch_it_is_computed_once_for_all(counted):
    feature, calls = counted
    images = share(torch.rand(2, 1, 8, 8))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: feature(images), range(16)))
    assert len(calls) == 1
    assert all(its is found[0] for its in found)


def test_other_arguments_and_other_batches_are_others(counted):
    feature, calls = counted
    one, other = share(torch.rand(2, 1, 8, 8)), share(torch.rand(2, 1, 8, 8))
    assert torch.equal(feature(one, power=2), one**2)
    assert torch.equal(feature(one, power=3), one**3)
    assert torch.equal(feature(other, power=2), other**2)
    assert len(calls) == 3


def test_what_is_made_of_a_batch_is_not_shared(counted):
    """A flipped or augmented copy of a shared batch is another batch."""
    feature, calls = counted
    images = share(torch.rand(2, 1, 8, 8))
    feature(images)
    assert torch.equal(feature(images.flip(-1)), images.flip(-1))
    assert len(calls) == 2


def test_glimpses_are_native_pixels_evenly_spaced():
    images = torch.arange(12.0 * 12).view(1, 1, 12, 12)
    squares = crops(images, 4)
    assert [float(square[0, 0, 0, 0]) for square in squares] == [26, 30, 74, 78]  # corners at 2 and 6
    for square in squares:
        assert square.shape == (1, 1, 4, 4)
        assert torch.equal(square[0, 0, 1] - square[0, 0, 0], torch.full((4,), 12.0))
    (whole,) = crops(images, 12)
    assert whole is images


@pytest.mark.parametrize("side", [8, 12])
def test_a_batch_dies_with_its_last_user(counted, side):
    """What is kept with a batch must not keep the batch: thousands come and go in a race."""
    feature, _ = counted
    images = share(torch.rand(2, 1, 12, 12))
    assert all(feature(glimpse).isfinite().all() for glimpse in crops(images, side))
    watched = weakref.ref(images)
    del images
    gc.disable()
    try:
        assert watched() is None
    finally:
        gc.enable()


def test_scoring_keeps_none_of_its_batches(monkeypatch):
    """Of images larger than the crop, too."""
    kept: list[weakref.ref] = []

    def remembered(images):
        kept.append(weakref.ref(images))
        return share(images)

    monkeypatch.setattr("arena.detectors.gallery.share", remembered)
    monkeypatch.setattr("arena.detectors.gallery.share", remembered)
    detectors = {name: build(name, 96, 1, 256) for name in ("cnn", "dct", "srm")}
    gallery = Gallery(torch.randint(0, 256, (3, 1, 96, 96), dtype=torch.uint8), Evidence(levels=256))
    score_all(detectors, gallery)
    gallery.measure({name: build(name, 96, 1, 256) for name in ("spectrum", "forest")})
    gc.collect()
    assert len(kept) == 2
    assert [ref() for ref in kept] == [None, None]
