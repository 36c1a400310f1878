import logging
import os
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from arena.core.errors import ArenaError
from arena.data import files as module
from arena.data.files import ImageFolder, decode, decode_images, map_ahead, progress_bar

RESOLUTION = 16


def pixels(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def fill(folder, n, *shape, start=0):
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(start, start + n):
        Image.fromarray(pixels(k, *(shape or (RESOLUTION, RESOLUTION)))).save(folder / f"{k:04d}.png")


def folder(path, cache_dir, **changed):
    settings = {"resolution": RESOLUTION, "channels": None, "seed": 0, "planted_amplitude": 8.0, "persons": None}
    return ImageFolder(path=path, cache_dir=cache_dir, **{**settings, **changed})


@pytest.fixture
def tree(tmp_path):
    """Nested folders with a text file, a truncated image, an empty and a hidden file among 170 usable images."""
    photos = tmp_path / "photos"
    fill(photos, 100)
    fill(photos / "b" / "c", 70, start=100)
    (photos / "b" / "readme.txt").write_text("no image")
    whole = (photos / "0000.png").read_bytes()
    (photos / "a_truncated.png").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.jpg").touch()
    (photos / ".hidden").write_text("not tried")
    return photos


# -- folders ----------------------------------------------------------------------------------------------------------


def test_all_images_are_read_in_order_and_byte_for_byte(tree, tmp_path):
    data = folder(tree, tmp_path / "cache")
    assert data.reals.images.shape == (170, 1, RESOLUTION, RESOLUTION)
    assert data.reals.ids.tolist() == list(range(170))
    assert [file.name for file in data.files()] == [f"{k:04d}.png" for k in range(170)]
    for k, image in enumerate(data.reals.images):
        assert np.array_equal(image[0].numpy(), pixels(k, RESOLUTION, RESOLUTION))


def test_unreadable_files_are_listed_every_time(tree, tmp_path, caplog):
    for _ in range(2):
        caplog.clear()
        folder(tree, tmp_path / "cache")
        lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len(lines) == 3
        for line, name in zip(lines, ("a_truncated.png", "b/readme.txt", "empty.jpg"), strict=True):
            assert f"'{name}'" in line
            assert "\n" not in line


@pytest.mark.parametrize("change", [None, "content", "added", "removed", "resolution", "channels"])
def test_images_are_decoded_again_only_after_a_change(tree, tmp_path, monkeypatch, change):
    before = folder(tree, tmp_path / "cache").reals.images
    settings = {}
    if change is None:
        monkeypatch.setattr(module, "decode_images", None)
    elif change == "content":
        file = tree / "0005.png"
        Image.fromarray(pixels(999, RESOLUTION, RESOLUTION)).save(file)
        os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000_000))
    elif change == "added":
        fill(tree, 1, start=500)
    elif change == "removed":
        (tree / "0005.png").unlink()
    else:
        settings = {"resolution": 8} if change == "resolution" else {"channels": 3}
    after = folder(tree, tmp_path / "cache", **settings).reals.images
    assert (after.shape == before.shape and torch.equal(after, before)) == (change is None)


@pytest.mark.parametrize(("channels", "expected"), [(None, 3), (1, 1), (3, 3)])
def test_one_colour_image_makes_the_folder_colour(tmp_path, channels, expected):
    fill(tmp_path / "photos", 3)
    Image.fromarray(pixels(9, RESOLUTION, RESOLUTION, 3)).save(tmp_path / "photos" / "z.png")
    data = folder(tmp_path / "photos", tmp_path / "cache", channels=channels)
    assert data.channels == expected
    images = data.load().images
    assert images.shape == (4, expected, RESOLUTION, RESOLUTION)
    grey = torch.from_numpy(pixels(0, RESOLUTION, RESOLUTION))
    assert torch.equal(images[0], grey.expand(expected, -1, -1))


def test_grey_images_stored_as_colour_are_grey(tmp_path):
    grey = pixels(0, RESOLUTION, RESOLUTION)
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / "photos" / "0.png")
    assert folder(tmp_path / "photos", tmp_path / "cache").channels == 1


def test_the_images_of_a_person_stay_in_one_part(tmp_path):
    photos = tmp_path / "photos"
    fill(photos, 0)
    for person in range(20):
        for k in range(10):
            Image.fromarray(pixels(10 * person + k, RESOLUTION, RESOLUTION)).save(
                photos / f"person{person:02d}_{k}.png"
            )
    data = folder(photos, tmp_path / "cache", persons=r"(person\d+)_")
    persons = data.reals.persons
    assert persons is not None
    assert persons.tolist() == [person for person in range(20) for _ in range(10)]
    parts = [set(persons[data.part(name).ids]) for name in ("generator", "detector", "judge", "reference")]
    assert sum(map(len, parts)) == 20


@pytest.mark.parametrize(
    ("persons", "message"),
    [
        ("(", "expected a regular expression"),
        ("person", "expected one group, found 0"),
        (r"(a)(b)", "expected one group, found 2"),
        (r"person(\d+)", "none in '0000.png'"),
    ],
)
def test_unsuitable_expressions_for_persons_are_refused(tree, tmp_path, persons, message):
    with pytest.raises(ArenaError, match=message) as failure:
        folder(tree, tmp_path / "cache", persons=persons).setup()
    assert "data.persons=" in str(failure.value)


def test_bad_paths_name_the_key(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for path in (None, tmp_path / "missing", tmp_path / "file", tmp_path / "empty"):
        with pytest.raises(ArenaError, match=r"^data\.path=.*expected|^data\.path=null.*needs") as failure:
            folder(path, tmp_path / "cache")
        assert "\n" not in str(failure.value)


def test_linked_folders_are_followed_once(tmp_path):
    photos = tmp_path / "photos"
    fill(tmp_path / "elsewhere", 3)
    fill(photos, 2, start=10)
    (photos / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (photos / "loop").symlink_to(photos, target_is_directory=True)
    names = [file.relative_to(photos).as_posix() for file in folder(photos, tmp_path / "cache").files()]
    assert names == ["0010.png", "0011.png", "link/0000.png", "link/0001.png", "link/0002.png"]


def test_unusual_file_names_are_handled(tmp_path, caplog):
    photos = tmp_path / "photos"
    fill(photos, 1)
    (photos / "0000.png").rename(photos / "Bär [red]\n.png")
    Path(os.fsdecode(os.fsencode(photos) + b"/\xff.txt")).write_text("no image")
    for _ in range(2):
        caplog.clear()
        assert len(folder(photos, tmp_path / "cache").files()) == 1
        assert len(caplog.messages) == 1
        assert "\n" not in caplog.messages[0]


def test_enlarged_images_cause_a_warning(tmp_path, caplog):
    fill(tmp_path / "photos", 2, 8, 8)
    fill(tmp_path / "photos", 1, 32, 32, start=5)
    folder(tmp_path / "photos", tmp_path / "cache")
    assert "2 images are smaller than data.resolution=16" in caplog.text


def test_decompression_bombs_are_skipped(tmp_path, monkeypatch, caplog):
    fill(tmp_path / "photos", 3)
    fill(tmp_path / "photos", 1, 24, 24, start=7)  # Pillow warns at one and a half times the limit
    fill(tmp_path / "photos", 1, 64, 64, start=8)  # and refuses twice the limit
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    assert len(folder(tmp_path / "photos", tmp_path / "cache").files()) == 3
    assert caplog.text.count("decompression bomb") == 2


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


@pytest.mark.skipif("ARENA_TEST_DATA" not in os.environ, reason="ARENA_TEST_DATA names no folder of real images")
def test_real_faces(tmp_path):
    """CelebA faces of 64 pixels are colour, and at their own size byte for byte those of the files."""
    faces = sorted((Path(os.environ["ARENA_TEST_DATA"]) / "celeba64").glob("*.png"))[:300]
    (tmp_path / "faces").mkdir()
    for face in faces:
        (tmp_path / "faces" / face.name).symlink_to(face)
    data = folder(tmp_path / "faces", tmp_path / "cache", resolution=64)
    data.setup()
    assert data.channels == 3
    assert np.array_equal(data.reals.images[7].permute(1, 2, 0).numpy(), np.asarray(Image.open(faces[7])))
    small = folder(tmp_path / "faces", tmp_path / "cache", resolution=32).reals.images.float()
    halved = torch.nn.functional.avg_pool2d(data.reals.images.float(), 2)
    assert (small - halved).abs().mean() < 4
    assert len(data.part("judge")) == 90
