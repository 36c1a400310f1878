import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from arena.core.errors import ArenaError
from arena.data import files as module
from arena.data.files import ImageFolder
from tests.data.test_decoding import RESOLUTION, pixels


def fill(folder, n, *shape, start=0):
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(start, start + n):
        Image.fromarray(pixels(k, *(shape or (RESOLUTION, RESOLUTION)))).save(folder / f"{k:04d}.png")


def folder(path, cache_dir, **changed):
    settings = {"resolution": RESOLUTION, "channels": None, "seed": 0, "planted_amplitude": 8.0, "persons": None}
    return ImageFolder(path=path, cache_dir=cache_dir, **{**settings, **changed})


@pytest.fixture
def tree(tmp_path):
    """Nested folders with a text file, a truncated image, an empty and a hidden file among 180 usable images."""
    photos = tmp_path / "photos"
    fill(photos, 100)
    fill(photos / "b" / "c", 80, start=100)
    (photos / "b" / "readme.txt").write_text("no image")
    whole = (photos / "0000.png").read_bytes()
    (photos / "a_truncated.png").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.jpg").touch()
    (photos / ".hidden").write_text("not tried")
    return photos


def test_all_images_are_read_in_order_and_byte_for_byte(tree, tmp_path):
    data = folder(tree, tmp_path / "cache")
    assert data.reals.images.shape == (180, 1, RESOLUTION, RESOLUTION)
    assert data.reals.ids.tolist() == list(range(180))
    assert [file.name for file in data.files()] == [f"{k:04d}.png" for k in range(180)]
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
    assert len(data.part("judge")) == 126  # 0.42 of them
