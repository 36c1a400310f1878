import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from arena.core.errors import ArenaError
from arena.data import files as decoding
from arena.data import files as module
from arena.data.files import ImageFolder, decode, decode_all

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
    """Nested, with a text file, a truncated image, an empty file and a hidden one among 170 usable images."""
    photos = tmp_path / "photos"
    fill(photos, 100)
    fill(photos / "b" / "c", 70, start=100)
    (photos / "b" / "readme.txt").write_text("no image")
    whole = (photos / "0000.png").read_bytes()
    (photos / "a_truncated.png").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.jpg").touch()
    (photos / ".hidden").write_text("not even tried")
    return photos


def test_finds_everything_in_order_and_byte_for_byte(tree, tmp_path):
    data = folder(tree, tmp_path / "cache")
    assert data.reals.images.shape == (170, 1, RESOLUTION, RESOLUTION)
    assert data.reals.ids.tolist() == list(range(170))
    assert [file.name for file in data.files()] == [f"{k:04d}.png" for k in range(170)]
    for k, image in enumerate(data.reals.images):
        assert np.array_equal(image[0].numpy(), pixels(k, RESOLUTION, RESOLUTION))


def test_what_is_no_image_is_listed_every_time(tree, tmp_path, caplog):
    for _ in range(2):
        caplog.clear()
        folder(tree, tmp_path / "cache")
        lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len(lines) == 3
        for line, name in zip(lines, ("a_truncated.png", "b/readme.txt", "empty.jpg"), strict=True):
            assert f"'{name}'" in line
            assert "\n" not in line


def test_second_time_nothing_is_decoded(tree, tmp_path, monkeypatch):
    first = folder(tree, tmp_path / "cache").reals.images
    monkeypatch.setattr(module, "decode_all", None)
    assert torch.equal(folder(tree, tmp_path / "cache").reals.images, first)


@pytest.mark.parametrize("change", ["content", "added", "removed", "resolution", "channels"])
def test_whatever_changes_the_images_is_decoded_again(tree, tmp_path, change):
    before = folder(tree, tmp_path / "cache").reals.images
    settings = {}
    if change == "content":
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
    assert after.shape != before.shape or not torch.equal(after, before)


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


def test_grey_stored_as_colour_is_grey(tmp_path):
    grey = pixels(0, RESOLUTION, RESOLUTION)
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / "photos" / "0.png")
    assert folder(tmp_path / "photos", tmp_path / "cache").channels == 1


def test_persons_are_kept_together(tmp_path):
    photos = tmp_path / "photos"
    fill(photos, 0)
    for who in range(20):
        for k in range(10):
            Image.fromarray(pixels(10 * who + k, RESOLUTION, RESOLUTION)).save(photos / f"person{who:02d}_{k}.png")
    data = folder(photos, tmp_path / "cache", persons=r"(person\d+)_")
    persons = data.reals.persons
    assert persons is not None
    assert persons.tolist() == [who for who in range(20) for _ in range(10)]
    shown = [set(persons[data.part(name).ids]) for name in ("generator", "detector", "judge", "reference")]
    assert sum(map(len, shown)) == 20


@pytest.mark.parametrize(
    ("persons", "message"),
    [
        ("(", "expected a regular expression"),
        ("person", "expected one group, found 0"),
        (r"(a)(b)", "expected one group, found 2"),
        (r"person(\d+)", "none in '0000.png'"),
    ],
)
def test_expressions_that_do_not_fit(tree, tmp_path, persons, message):
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


def test_no_other_channels(tmp_path):
    with pytest.raises(ArenaError, match=r"data\.channels=4"):
        folder(tmp_path, tmp_path, channels=4)


def test_too_few_images_says_both_numbers(tmp_path):
    fill(tmp_path / "photos", 30)
    with pytest.raises(ArenaError, match=r"30 usable images.* 160"):
        folder(tmp_path / "photos", tmp_path / "cache").setup()


def test_linked_folders_are_followed_once(tmp_path):
    fill(tmp_path / "elsewhere", 3)
    fill(tmp_path / "photos", 2, start=10)
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "photos" / "loop").symlink_to(tmp_path / "photos", target_is_directory=True)
    names = [
        file.relative_to(tmp_path / "photos").as_posix() for file in folder(tmp_path / "photos", tmp_path / "c").files()
    ]
    assert names == ["0010.png", "0011.png", "link/0000.png", "link/0001.png", "link/0002.png"]


def test_odd_names_are_no_trouble(tmp_path, caplog):
    photos = tmp_path / "photos"
    fill(photos, 1)
    (photos / "0000.png").rename(photos / "Bär [red]\n.png")
    Path(os.fsdecode(os.fsencode(photos) + b"/\xff.txt")).write_text("no image")
    for _ in range(2):
        caplog.clear()
        assert len(folder(photos, tmp_path / "cache").files()) == 1
        assert len(caplog.messages) == 1
        assert "\n" not in caplog.messages[0]


def test_enlarging_is_warned_of(tmp_path, caplog):
    fill(tmp_path / "photos", 2, 8, 8)
    fill(tmp_path / "photos", 1, 32, 32, start=5)
    folder(tmp_path / "photos", tmp_path / "cache")
    assert "2 images are smaller than data.resolution=16" in caplog.text


def test_decompression_bombs_are_skipped(tmp_path, monkeypatch, caplog):
    fill(tmp_path / "photos", 3)
    fill(tmp_path / "photos", 1, 24, 24, start=7)  # Pillow warns of one and a half times the limit
    fill(tmp_path / "photos", 1, 64, 64, start=8)  # and refuses the double
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    assert len(folder(tmp_path / "photos", tmp_path / "cache").files()) == 3
    assert caplog.text.count("decompression bomb") == 2


# -- one image --------------------------------------------------------------------------------------------------------


def test_middle_square_is_resized_as_pillow_does(tmp_path):
    wide = pixels(0, 40, 70, 3)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    square = Image.fromarray(wide[:, 15:55])
    expected = np.asarray(square.resize((RESOLUTION, RESOLUTION), Image.Resampling.LANCZOS))
    assert np.array_equal(decode(tmp_path / "wide.png", RESOLUTION).values, expected)


def test_resizing_is_antialiased(tmp_path):
    stripes = np.zeros((128, 128), dtype=np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    assert decode(tmp_path / "stripes.png", RESOLUTION).values.std() < 3


@pytest.mark.parametrize(("orientation", "turn"), [(3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1))])
def test_exif_orientation_is_applied(tmp_path, orientation, turn):
    array = pixels(0, RESOLUTION, RESOLUTION, 3)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(array).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(decode(tmp_path / "turned.png", RESOLUTION).values, turn(array))


def ramp(top=255.0):
    return np.linspace(0, top, RESOLUTION**2).round().reshape(RESOLUTION, RESOLUTION)


FORMATS = {
    "grey.png": (lambda: Image.fromarray(ramp().astype(np.uint8)), 0),
    "grey.bmp": (lambda: Image.fromarray(ramp().astype(np.uint8)), 0),
    "grey.tiff": (lambda: Image.fromarray(ramp().astype(np.uint8)), 0),
    "grey.pgm": (lambda: Image.fromarray(ramp().astype(np.uint8)), 0),
    "grey.jpg": (lambda: Image.fromarray(ramp().astype(np.uint8)), 4),
    "sixteen_bits.png": (lambda: Image.fromarray((np.rint(ramp()) * 257).astype(np.uint16)), 0),
    "thirty_two_bits.tiff": (lambda: Image.fromarray((np.rint(ramp()) * 257).astype(np.int32)), 0),
    "palette.png": (lambda: Image.fromarray(ramp().astype(np.uint8)).convert("P"), 0),
    "palette.gif": (lambda: Image.fromarray(ramp().astype(np.uint8)).convert("P"), 0),
    "alpha.png": (lambda: Image.fromarray(ramp().astype(np.uint8)).convert("RGBA"), 0),
    "grey_alpha.png": (lambda: Image.fromarray(ramp().astype(np.uint8)).convert("LA"), 0),
    "cmyk.tiff": (lambda: Image.fromarray(ramp().astype(np.uint8)).convert("RGB").convert("CMYK"), 1),
    "cmyk.jpg": (lambda: Image.fromarray(ramp().astype(np.uint8)).convert("RGB").convert("CMYK"), 6),
    "extension_lies.txt": (lambda: Image.fromarray(ramp().astype(np.uint8)), 0),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_and_modes(tmp_path, name):
    make, tolerance = FORMATS[name]
    make().save(tmp_path / name, "PNG" if name.endswith("txt") else None)
    values = decode(tmp_path / name, RESOLUTION).values
    assert values.shape == (RESOLUTION, RESOLUTION, 3)
    assert np.abs(values.astype(int) - ramp()[..., None]).max() <= tolerance


def test_transparency_lies_over_white(tmp_path):
    clear = np.zeros((RESOLUTION, RESOLUTION, 4), dtype=np.uint8)
    clear[: RESOLUTION // 2, :, 3] = 255
    Image.fromarray(clear).save(tmp_path / "clear.png")
    values = decode(tmp_path / "clear.png", RESOLUTION).values
    assert (values[: RESOLUTION // 2] == 0).all()
    assert (values[RESOLUTION // 2 :] == 255).all()


def test_animations_give_their_first_frame(tmp_path):
    frames = [Image.new("L", (RESOLUTION, RESOLUTION), value) for value in (10, 200)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (decode(tmp_path / "moving.gif", RESOLUTION).values == 10).all()


def test_floating_point_is_refused(tmp_path):
    Image.fromarray(ramp(1.0).astype(np.float32)).save(tmp_path / "float.tiff")
    images, failures, *_ = decode_all([tmp_path / "float.tiff"], RESOLUTION, None)
    assert len(images) == 0
    assert "range is unknown" in failures[0]


def test_damaged_bytes_never_stop_the_rest(tmp_path):
    """A byte of each file is overwritten; whatever the decoder then raises, the other files are read."""
    rng = np.random.default_rng(0)
    files = []
    for extension in ("png", "jpg", "gif", "bmp", "tiff", "webp"):
        whole = tmp_path / f"whole.{extension}"
        Image.fromarray(pixels(0, 24, 24, 3)).save(whole)
        for k in range(12):
            content = bytearray(whole.read_bytes())
            content[rng.integers(0, min(len(content), 120))] = rng.integers(0, 256)
            files.append(tmp_path / f"{k}.{extension}")
            files[-1].write_bytes(content[: rng.integers(20, len(content) + 1)])
    files.append(whole)
    images, failures, *_ = decode_all(files, RESOLUTION, 3)
    assert len(images) + len(failures) == len(files)
    assert len(files) - 1 not in failures
    assert len(failures) > 20
    assert all(reason and "\n" not in reason for reason in failures.values())


def test_order_does_not_depend_on_the_threads(tmp_path, monkeypatch):
    fill(tmp_path, 40)
    files = sorted(tmp_path.iterdir())
    many = decode_all(files, RESOLUTION, None).images
    monkeypatch.setattr(decoding, "ThreadPoolExecutor", partial(ThreadPoolExecutor, max_workers=1))
    assert torch.equal(decode_all(files, RESOLUTION, None).images, many)


@pytest.mark.skipif("ARENA_TEST_DATA" not in os.environ, reason="ARENA_TEST_DATA names no folder of real images")
def test_real_faces(tmp_path):
    """CelebA faces of 64 pixels: colour, varied, and at their own size byte for byte those of the files."""
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
