import os
import socket
import warnings
from pathlib import Path
from urllib.error import URLError

import joblib
import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from arena.core.errors import ArenaError
from arena.data import downloads as module
from arena.data.downloads import TIMEOUT, Lfw, Olivetti, data_home, fetch_from_sklearn, grey_levels

PARTS = ("generator", "detector", "judge", "reference")


def refuse(**_):
    raise AssertionError("fetched again")


def offline(**_):
    raise URLError("no network")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty data folder of scikit-learn, and fetchers that fail."""
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", refuse)
    monkeypatch.setattr(module, "LFW_PHOTOGRAPHS", 180)
    return tmp_path / "home"


# -- scikit-learn's fetchers ------------------------------------------------------------------------------------------


def test_a_fetcher_is_silent_and_has_a_timeout(capsys):
    def fetch():
        print("downloading")
        warnings.warn("Retry downloading", stacklevel=1)
        return 7, socket.getdefaulttimeout()

    assert fetch_from_sklearn("faces", fetch, "") == (7, TIMEOUT)
    assert socket.getdefaulttimeout() is None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (URLError("[Errno -2] Name or service\n not known"), "(<urlopen error [Errno -2] Name or service not known>)"),
        (TimeoutError(), "(TimeoutError)"),
        (EOFError("Compressed file ended"), "(Compressed file ended)"),
    ],
)
def test_a_failed_download_is_one_line_with_instructions(home, failure, reason):
    def fetch():
        raise failure

    with pytest.raises(ArenaError) as error:
        fetch_from_sklearn("faces", fetch, "put it there")
    line = f"data=faces: expected it in {home} or a download, which failed {reason}; by hand: put it there"
    assert str(error.value) == line
    assert socket.getdefaulttimeout() is None


def test_a_wrong_file_placed_by_hand_is_named():
    """scikit-learn warns of it, and then tries to download the right one."""

    def fetch():
        warnings.warn("SHA256 checksum of existing local file faces.mat differs", stacklevel=1)
        warnings.warn("Retry downloading", stacklevel=1)
        raise URLError("offline")

    with pytest.raises(ArenaError, match=r"\(SHA256 checksum of existing local file faces\.mat differs <urlopen"):
        fetch_from_sklearn("faces", fetch, "")


def test_a_data_folder_that_cannot_be_created(home):
    home.write_text("a file")
    with pytest.raises(ArenaError, match=r"^SCIKIT_LEARN_DATA=.*home: expected a folder"):
        data_home()


# -- Olivetti ---------------------------------------------------------------------------------------------------------


def olivetti(cache_dir, resolution=64):
    return Olivetti(resolution=resolution, seed=0, planted_amplitude=8, cache_dir=cache_dir)


@pytest.fixture
def faces(home):
    """8-bit faces between 13 and 255, stored as scikit-learn stores its download."""
    faces = np.random.default_rng(0).integers(13, 256, (400, 64, 64), dtype=np.uint8)
    place(home, faces)
    return faces


def place(home, faces):
    home.mkdir(exist_ok=True)
    joblib.dump(faces.transpose(0, 2, 1).reshape(400, 4096), home / "olivetti_py3.pkz")


def test_olivetti_faces_are_the_levels_of_the_file(faces, tmp_path, monkeypatch):
    data = olivetti(tmp_path / "cache")
    assert (data.resolution, data.channels, data.levels) == (64, 1, 256)
    assert np.array_equal(data.reals.images[:, 0].numpy(), faces - faces.min())
    persons = data.reals.persons
    assert persons is not None
    assert persons.tolist() == [person for person in range(40) for _ in range(10)]
    assert sum(len(set(persons[data.part(name).ids])) for name in PARTS) == 40  # no person is in two parts
    monkeypatch.setattr(sklearn.datasets, "fetch_olivetti_faces", refuse)
    again = olivetti(tmp_path / "cache").load()
    assert np.array_equal(again.images, data.reals.images)
    assert again.persons is not None
    assert np.array_equal(again.persons, persons)


def test_olivetti_faces_are_resized_with_antialiasing(faces, tmp_path):
    small = olivetti(tmp_path / "cache", 16).load().images[3, 0]
    expected = Image.fromarray(faces[3] - faces.min()).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(small, np.asarray(expected))


def test_olivetti_offline_names_the_place_of_the_file(home, tmp_path, monkeypatch):
    monkeypatch.setattr(sklearn.datasets, "fetch_olivetti_faces", offline)
    with pytest.raises(ArenaError) as error:
        olivetti(tmp_path / "cache").load()
    assert str(error.value).startswith("data=olivetti: expected it in ")
    assert str(error.value).endswith(f" as {home / 'olivettifaces.mat'}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("brightest", [255, 242, 130, 127, 1])
def test_grey_levels_are_exact_for_every_divisor(brightest):
    levels = np.arange(brightest + 1, dtype=np.float32)
    expected = levels * (255 // brightest)  # the distance of two levels alone is unknown: they become black and white
    assert np.array_equal(grey_levels(levels / np.float32(brightest)), expected)


@pytest.mark.skipif("ARENA_TEST_DATA" not in os.environ, reason="ARENA_TEST_DATA names no folder of real images")
def test_the_real_olivetti_faces_lose_no_level(home, tmp_path):
    files = sorted((Path(os.environ["ARENA_TEST_DATA"]) / "olivetti").glob("*.png"))
    faces = np.stack([np.asarray(Image.open(file)) for file in files])
    place(home, faces)
    data = olivetti(tmp_path / "cache")
    assert np.array_equal(data.reals.images[:, 0].numpy(), faces)
    assert len(data.part("judge")) == 170  # 17 of 40 persons


# -- LFW --------------------------------------------------------------------------------------------------------------


def lfw(cache_dir, crop=32):
    return Lfw(resolution=16, crop=crop, seed=0, planted_amplitude=8, cache_dir=cache_dir)


def unpack(home):
    """Unpack an archive: three photographs of each of 60 persons, and a text file."""
    folder = home / "lfw_home" / "lfw_funneled"
    for person in range(60):
        name = f"Person_{person:03d}"
        (folder / name).mkdir(parents=True)
        for k in range(3):
            colour = (4 * person, 80 * k, 128)
            Image.new("RGB", (40, 40), colour).save(folder / name / f"{name}_{k:04d}.jpg", quality=95)
    (folder / "pairs.txt").write_text("10 300")
    return folder


def test_lfw_is_fetched_once_and_then_read_from_its_files(home, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", lambda **_: unpack(home))
    lfw(tmp_path / "cache").setup()
    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", refuse)
    data = lfw(tmp_path / "cache")
    assert data.reals.images.shape == (180, 3, 16, 16)
    mean = data.reals.images.float().mean((2, 3)).numpy()
    expected = [(4 * person, 80 * k, 128) for person in range(60) for k in range(3)]
    assert np.abs(mean - expected).max() <= 3  # the error of JPEG
    names = [file.relative_to(home / "lfw_home" / "lfw_funneled").as_posix() for file in data.files()]
    assert names[2:4] == ["Person_000/Person_000_0002.jpg", "Person_001/Person_001_0000.jpg"]
    persons = data.reals.persons
    assert persons is not None
    assert persons.tolist() == [person for person in range(60) for _ in range(3)]
    assert sum(len(set(persons[data.part(name).ids])) for name in PARTS) == 60  # no person is in two parts
    assert [record.levelname for record in caplog.records if record.levelname != "INFO"] == []


def test_lfw_keeps_the_middle_of_the_photographs(home, tmp_path):
    for file in unpack(home).glob("*/*.jpg"):
        framed = Image.new("RGB", (40, 40), "red")
        framed.paste(Image.new("RGB", (24, 24), "white"), (8, 8))
        framed.save(file, quality=95)
    inner = lfw(tmp_path / "cache", crop=16).load().images
    outer = lfw(tmp_path / "cache", crop=40).load().images
    assert inner.min() > 250
    assert outer[:, 1, 0, 0].max() < 10


def test_lfw_offline_names_the_place_of_the_files(home, tmp_path, monkeypatch):
    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", offline)
    with pytest.raises(ArenaError) as error:
        lfw(tmp_path / "cache").load()
    assert str(error.value).startswith("data=lfw: expected it in ")
    assert str(error.value).endswith(f"(lfw-funneled.tgz) as {home / 'lfw_home' / 'lfw_funneled'}")


def test_missing_lfw_photographs_are_reported(home, tmp_path, monkeypatch, caplog):
    folder = unpack(home)
    monkeypatch.setattr(module, "LFW_PHOTOGRAPHS", 13_233)
    lfw(tmp_path / "cache").load()
    assert "only 180 of 13233 photographs" in caplog.text
    for file in folder.glob("*/*.jpg"):
        file.unlink()
    with pytest.raises(ArenaError, match=f"expected photographs in {folder}; by hand: unpack"):
        lfw(tmp_path / "cache").load()


def test_a_cache_that_cannot_be_written_names_the_key(home, tmp_path):
    unpack(home)
    (tmp_path / "file").touch()
    with pytest.raises(ArenaError, match=r"^cache_dir="):
        lfw(tmp_path / "file").load()
