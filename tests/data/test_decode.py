"""The sources an image may come from; what one image goes through is tested with the folder."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from arena.data import files as module
from arena.data.files import ahead, decode, decode_all


def photograph(height=20, width=30):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def content(image, form="PNG"):
    file = BytesIO()
    image.save(file, form)
    return file.getvalue()


def test_file_bytes_and_opened_image_are_the_same_image(tmp_path):
    (tmp_path / "image.png").write_bytes(content(photograph()))
    decoding = decode_all([tmp_path / "image.png", content(photograph()), photograph()], 16, 3)
    assert decoding.images.shape == (3, 3, 16, 16)
    assert torch.equal(decoding.images[0], decoding.images[1])
    assert torch.equal(decoding.images[0], decoding.images[2])


def test_formats_are_counted_where_they_are_known():
    sources = [content(photograph(), "JPEG"), content(photograph()), content(photograph()), photograph(), b""]
    decoding = decode_all(sources, 16, 3)
    assert decoding.formats == {"JPEG": 1, "PNG": 2}
    assert decoding.failures == {4: "no image"}


@pytest.mark.parametrize(("crop", "side"), [(None, 20), (8, 8), (16, 16), (500, 20)])
def test_the_middle_is_kept(crop, side):
    image = photograph()
    left, top = (30 - side) // 2, (20 - side) // 2
    expected = image.crop((left, top, left + side, top + side))
    assert np.array_equal(decode(image, side, crop=crop).values, np.asarray(expected))


def test_enlarged_is_what_the_crop_leaves_too_small():
    assert not decode(photograph(), 16).enlarged
    assert decode(photograph(), 16, crop=8).enlarged


def test_of_a_stream_no_more_is_read_than_is_worked_on(monkeypatch):
    """A stream of large files must not be in memory at once."""
    monkeypatch.setattr(module, "AHEAD", 5)
    read = []

    def stream():
        for k in range(100):
            read.append(k)
            yield k

    with ThreadPoolExecutor(2) as pool:
        results = ahead(pool, lambda k: k * k, stream())
        for k in range(100):
            assert next(results) == k * k
            assert len(read) <= k + 5
        assert list(results) == []


def test_a_stream_that_breaks_is_no_unreadable_image():
    def broken():
        yield photograph()
        raise ConnectionError("lost")

    with pytest.raises(ConnectionError, match="lost"):
        decode_all(broken(), 16, 3)
