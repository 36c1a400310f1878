from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier

import numpy as np
import pytest
import torch
from PIL import Image

from arena.core.errors import ArenaError
from arena.data import decoding as module
from arena.data.decoding import (
    NAMED,
    CacheEntry,
    Decoding,
    cached,
    decode,
    decode_images,
    map_ahead,
    progress_bar,
)

RESOLUTION = 16


def pixels(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# -- sequences of sources ---------------------------------------------------------------------------------------------


def photograph(height=20, width=30):
    return Image.fromarray(pixels(0, height, width, 3))


def content(image, form="PNG"):
    file = BytesIO()
    image.save(file, form)
    return file.getvalue()


def test_files_bytes_and_opened_images_give_the_same_image(tmp_path):
    (tmp_path / "image.png").write_bytes(content(photograph()))
    decoding = decode_images([tmp_path / "image.png", content(photograph()), photograph()], 16, 3)
    assert decoding.images.shape == (3, 3, 16, 16)
    assert torch.equal(decoding.images[0], decoding.images[1])
    assert torch.equal(decoding.images[0], decoding.images[2])


def test_formats_are_counted_if_known():
    sources = [content(photograph(), "JPEG"), content(photograph()), content(photograph()), photograph(), b""]
    decoding = decode_images(sources, 16, 3)
    assert decoding.formats == {"JPEG": 1, "PNG": 2}
    assert decoding.failures == {4: "no image"}


def test_a_stream_is_read_only_a_little_ahead(monkeypatch):
    """A stream of large files must not be in memory at once."""
    monkeypatch.setattr(module, "AHEAD", 5)
    read = []

    def stream():
        for k in range(100):
            read.append(k)
            yield k

    with ThreadPoolExecutor(2) as pool:
        results = map_ahead(pool, lambda k: k * k, stream())
        for k in range(100):
            assert next(results) == k * k
            assert len(read) <= k + 5
        assert list(results) == []


def test_a_broken_stream_is_not_an_unreadable_image():
    def broken():
        yield photograph()
        raise ConnectionError("lost")

    with pytest.raises(ConnectionError, match="lost"):
        decode_images(broken(), 16, 3)


def test_damaged_bytes_do_not_stop_the_other_files(tmp_path):
    """A byte of each file is overwritten and its end is cut off."""
    rng = np.random.default_rng(0)
    files = []
    for extension in ("png", "jpg", "gif", "bmp", "tiff", "webp"):
        whole = tmp_path / f"whole.{extension}"
        Image.fromarray(pixels(0, 24, 24, 3)).save(whole)
        for k in range(12):
            damaged = bytearray(whole.read_bytes())
            damaged[rng.integers(0, min(len(damaged), 120))] = rng.integers(0, 256)
            files.append(tmp_path / f"{k}.{extension}")
            files[-1].write_bytes(damaged[: rng.integers(20, len(damaged) + 1)])
    files.append(whole)
    images, failures, *_ = decode_images(files, RESOLUTION, 3)
    assert len(images) + len(failures) == len(files)
    assert len(files) - 1 not in failures
    assert len(failures) > 20
    assert all(reason and "\n" not in reason for reason in failures.values())


def test_the_progress_bar_is_silent_without_a_terminal(capsys):
    assert list(progress_bar(iter(range(5)), "counting", total=5)) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


# -- one image --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("crop", "side"), [(None, 20), (8, 8), (16, 16), (500, 20)])
def test_the_middle_square_is_kept(crop, side):
    image = photograph()
    left, top = (30 - side) // 2, (20 - side) // 2
    expected = image.crop((left, top, left + side, top + side))
    assert np.array_equal(decode(image, side, crop=crop).pixels, np.asarray(expected))


def test_a_crop_smaller_than_the_resolution_is_enlarged():
    assert not decode(photograph(), 16).enlarged
    assert decode(photograph(), 16, crop=8).enlarged


def test_images_are_resized_as_pillow_does():
    wide = pixels(0, 40, 70, 3)
    square = Image.fromarray(wide[:, 15:55])
    expected = np.asarray(square.resize((RESOLUTION, RESOLUTION), Image.Resampling.LANCZOS))
    assert np.array_equal(decode(Image.fromarray(wide), RESOLUTION).pixels, expected)
    stripes = np.zeros((128, 128), dtype=np.uint8)
    stripes[:, ::2] = 255
    assert decode(Image.fromarray(stripes), RESOLUTION).pixels.std() < 3  # antialiased


@pytest.mark.parametrize(("orientation", "turn"), [(3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1))])
def test_exif_orientation_is_applied(tmp_path, orientation, turn):
    array = pixels(0, RESOLUTION, RESOLUTION, 3)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(array).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(decode(tmp_path / "turned.png", RESOLUTION).pixels, turn(array))


RAMP = np.linspace(0, 255, RESOLUTION**2).round().reshape(RESOLUTION, RESOLUTION)
GREY = Image.fromarray(RAMP.astype(np.uint8))
FORMATS = {
    "grey.png": (GREY, 0),
    "grey.bmp": (GREY, 0),
    "grey.tiff": (GREY, 0),
    "grey.pgm": (GREY, 0),
    "grey.jpg": (GREY, 4),
    "sixteen_bits.png": (Image.fromarray((RAMP * 257).astype(np.uint16)), 0),
    "thirty_two_bits.tiff": (Image.fromarray((RAMP * 257).astype(np.int32)), 0),
    "palette.png": (GREY.convert("P"), 0),
    "palette.gif": (GREY.convert("P"), 0),
    "alpha.png": (GREY.convert("RGBA"), 0),
    "grey_alpha.png": (GREY.convert("LA"), 0),
    "cmyk.tiff": (GREY.convert("RGB").convert("CMYK"), 1),
    "cmyk.jpg": (GREY.convert("RGB").convert("CMYK"), 6),
    "wrong_extension.txt": (GREY, 0),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_and_modes(tmp_path, name):
    image, tolerance = FORMATS[name]
    image.save(tmp_path / name, "PNG" if name.endswith("txt") else None)
    decoded = decode(tmp_path / name, RESOLUTION).pixels
    assert decoded.shape == (RESOLUTION, RESOLUTION, 3)
    assert np.abs(decoded.astype(int) - RAMP[..., None]).max() <= tolerance


def test_transparent_pixels_are_put_on_white():
    clear = np.zeros((RESOLUTION, RESOLUTION, 4), dtype=np.uint8)
    clear[: RESOLUTION // 2, :, 3] = 255
    decoded = decode(Image.fromarray(clear), RESOLUTION).pixels
    assert (decoded[: RESOLUTION // 2] == 0).all()
    assert (decoded[RESOLUTION // 2 :] == 255).all()


def test_animations_give_their_first_frame(tmp_path):
    frames = [Image.new("L", (RESOLUTION, RESOLUTION), value) for value in (10, 200)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (decode(tmp_path / "moving.gif", RESOLUTION).pixels == 10).all()


def test_floating_point_images_are_refused():
    images, failures, *_ = decode_images([Image.fromarray(RAMP.astype(np.float32))], RESOLUTION, None)
    assert len(images) == 0
    assert "range is unknown" in failures[0]


# -- the cache --------------------------------------------------------------------------------------------------------


def entry():
    return CacheEntry({"images": torch.arange(6, dtype=torch.uint8)}, {"note": "ü\n"})


def forbidden():
    raise AssertionError("made again")


def test_the_second_reader_makes_nothing(tmp_path):
    file = tmp_path / "deep" / "images.safetensors"
    made, read = cached(file, entry), cached(file, forbidden)
    assert torch.equal(read.tensors["images"], made.tensors["images"])
    assert read.notes == made.notes


def test_of_several_readers_at_once_one_makes_the_content(tmp_path):
    made, together = [], Barrier(4)

    def make():
        made.append(1)
        return entry()

    def reader(_):
        together.wait()
        return cached(tmp_path / "images.safetensors", make)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(reader, range(4)))
    assert len(made) == 1
    assert all(torch.equal(result.tensors["images"], entry().tensors["images"]) for result in results)


def test_a_damaged_file_is_made_again(tmp_path):
    file = tmp_path / "images.safetensors"
    cached(file, entry)
    file.write_bytes(file.read_bytes()[:20])
    assert torch.equal(cached(file, entry).tensors["images"], entry().tensors["images"])
    assert cached(file, forbidden).notes == entry().notes


def test_a_failure_leaves_no_file(tmp_path):
    with pytest.raises(AssertionError):
        cached(tmp_path / "images.safetensors", forbidden)
    assert not [*tmp_path.glob("*.safetensors"), *tmp_path.glob("*.part")]


def test_an_unusable_folder_names_the_key(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ArenaError, match="cache_dir="):
        cached(tmp_path / "file" / "images.safetensors", entry)


def test_long_lists_of_skipped_images_end_in_a_count(caplog):
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    failures = dict.fromkeys(range(NAMED + 5), "no image")
    names = [f"{k}.txt" for k in range(len(failures) + 3)]
    decoded = Decoding(images, failures, 2, {"PNG": 3}).cache_entry(names, persons=torch.arange(3))
    assert decoded.tensors.keys() == {"images", "persons"}
    assert decoded.skipped == dict.fromkeys(names[: NAMED + 5], "no image")
    assert decoded.formats == {"PNG": 3}
    decoded.warn(16)
    assert caplog.messages[0] == "skipped '0.txt': no image"
    assert "skipped 5 more" in caplog.messages[NAMED]
    assert caplog.messages[NAMED + 1].startswith("2 images are smaller than data.resolution=16")
    assert len(caplog.messages) == NAMED + 2
