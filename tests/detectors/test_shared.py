"""Results that techniques share, and the batches that they must not keep alive."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from arena.detectors.gallery import Gallery, score_all
from arena.detectors.shared import crops, shared, sharing
from arena.imaging.evidence import Evidence
from tests.detectors.planted import build


@shared
def power(images, exponent=1):
    return images**exponent


def test_of_a_shared_batch_all_threads_get_one_result():
    images = torch.rand(2, 1, 8, 8)
    with sharing(images), ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: power(images), range(16)))
    assert all(result is results[0] for result in results)


def test_other_arguments_and_other_batches_have_results_of_their_own():
    one, other = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8)
    with sharing(one, other):
        assert torch.equal(power(one, exponent=2), one**2)
        assert torch.equal(power(one, exponent=3), one**3)
        assert torch.equal(power(other, exponent=2), other**2)
        assert power(one, exponent=2) is power(one, exponent=2)


def test_a_copy_of_a_shared_batch_is_another_batch():
    images = torch.rand(2, 1, 8, 8)
    with sharing(images):
        assert torch.equal(power(images), images)
        assert torch.equal(power(images.flip(-1)), images.flip(-1))


def test_outside_the_block_nothing_is_shared():
    images = torch.rand(2, 1, 8, 8)
    with sharing(images):
        inside = power(images)
    assert power(images) is not inside
    assert torch.equal(power(images), inside)
    with pytest.raises(ValueError, match="stop"), sharing(images):
        raise ValueError("stop")
    assert power(images) is not power(images)


def test_crops_are_native_pixels_evenly_spaced():
    images = torch.arange(12.0 * 12).view(1, 1, 12, 12)
    squares = crops(images, 4)
    assert [float(square[0, 0, 0, 0]) for square in squares] == [26, 30, 74, 78]  # corners at 2 and 6
    for square in squares:
        assert square.shape == (1, 1, 4, 4)
        assert torch.equal(square[0, 0, 1] - square[0, 0, 0], torch.full((4,), 12.0))
    (whole,) = crops(images, 12)
    assert whole is images


def test_crops_of_a_shared_batch_are_shared_too():
    images = torch.rand(2, 1, 12, 12)
    with sharing(images):
        squares = crops(images, 8)
        assert all(square is again for square, again in zip(squares, crops(images, 8), strict=True))
        assert all(power(square) is power(square) for square in squares)
    assert power(squares[0]) is not power(squares[0])


@pytest.mark.parametrize("side", [8, 12])
def test_a_batch_and_its_results_die_with_the_block(side):
    """Thousands of batches come and go in a race."""
    images = torch.rand(2, 1, 12, 12)
    with sharing(images):
        results = [power(crop) for crop in crops(images, side)]
    watched = [weakref.ref(tensor) for tensor in (images, *results)]
    del images, results
    gc.disable()
    try:
        assert [ref() for ref in watched] == [None] * len(watched)
    finally:
        gc.enable()


def test_scoring_keeps_none_of_its_batches(monkeypatch):
    """Some images are larger than the crop."""
    kept: list[weakref.ref] = []

    def remembered(images):
        kept.append(weakref.ref(images))
        return sharing(images)

    monkeypatch.setattr("arena.detectors.gallery.sharing", remembered)
    detectors = {name: build(name, 96, 1, 256) for name in ("cnn", "dct", "srm")}
    gallery = Gallery(torch.randint(0, 256, (3, 1, 96, 96), dtype=torch.uint8), Evidence(levels=256))
    score_all(detectors, gallery)
    gallery.measure({name: build(name, 96, 1, 256) for name in ("spectrum", "forest")})
    gc.collect()
    assert len(kept) == 2
    assert [ref() for ref in kept] == [None, None]
