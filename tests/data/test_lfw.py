from urllib.error import URLError

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from arena.core.errors import ArenaError
from arena.data import downloads as module
from arena.data.downloads import Lfw

PEOPLE = [f"Person_{k:03d}" for k in range(60)]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(module, "PHOTOGRAPHS", 180)
    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", forbidden)
    return tmp_path / "home" / "lfw_home" / "lfw_funneled"


def lfw(cache_dir, **changed):
    settings = {"resolution": 16, "crop": 32, "seed": 0, "planted_amplitude": 8.0, **changed}
    return Lfw(cache_dir=cache_dir, **settings)


def forbidden(**_):
    raise AssertionError("fetched although it was there")


def unpack(folder):
    """Three photographs of each person, and a text file as it lies in the archive."""
    for number, name in enumerate(PEOPLE):
        (folder / name).mkdir(parents=True)
        for k in range(3):
            colour = (4 * number, 80 * k, 128)
            Image.new("RGB", (40, 40), colour).save(folder / name / f"{name}_{k:04d}.jpg", quality=95)
    (folder / "pairs.txt").write_text("10 300")


def test_fetched_once_then_read_from_the_files(home, tmp_path, monkeypatch, caplog):
    asked = []

    def fetch(**settings):
        asked.append(settings)
        unpack(home)

    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", fetch)
    lfw(tmp_path / "cache").setup()
    data = lfw(tmp_path / "cache")
    assert data.reals.images.shape == (180, 3, 16, 16)
    assert len(asked) == 1
    assert asked[0]["n_retries"] == 1
    mean = data.reals.images.float().mean((2, 3)).numpy()
    expected = [(4 * number, 80 * k, 128) for number in range(60) for k in range(3)]
    assert np.abs(mean - expected).max() <= 3  # what JPEG makes of them
    assert [record.levelname for record in caplog.records if record.levelname != "INFO"] == []


def test_files_are_those_of_the_images(home, tmp_path):
    """The provenance check reads their headers, and sees that they are JPEG."""
    unpack(home)
    files = lfw(tmp_path / "cache").files()
    assert [file.relative_to(home).as_posix() for file in files[:4]] == [
        *(f"Person_000/Person_000_{k:04d}.jpg" for k in range(3)),
        "Person_001/Person_001_0000.jpg",
    ]
    assert all(file.is_file() for file in files)


def test_nobody_is_in_two_parts(home, tmp_path):
    unpack(home)
    data = lfw(tmp_path / "cache")
    persons = data.reals.persons
    assert persons is not None
    assert persons.tolist() == [number for number in range(60) for _ in range(3)]
    shown = [set(persons[data.part(name).ids]) for name in ("generator", "detector", "judge", "reference")]
    assert sum(map(len, shown)) == 60


def test_only_the_middle_is_kept(home, tmp_path):
    unpack(home)
    for file in home.glob("*/*.jpg"):
        framed = Image.new("RGB", (40, 40), "red")
        framed.paste(Image.new("RGB", (24, 24), "white"), (8, 8))
        framed.save(file, quality=95)
    inner = lfw(tmp_path / "cache", crop=16).load().images
    outer = lfw(tmp_path / "cache", crop=40).load().images
    assert inner.min() > 250
    assert outer[:, 1, 0, 0].max() < 10


def test_offline_says_where_the_files_belong(home, tmp_path, monkeypatch):
    def offline(**_):
        raise URLError("no network")

    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", offline)
    with pytest.raises(ArenaError) as error:
        lfw(tmp_path / "cache").load()
    assert str(error.value).startswith("data=lfw: expected in ")
    assert str(error.value).endswith(f"(lfw-funneled.tgz) as {home}")


def test_what_is_not_all_there_is_told(home, tmp_path, monkeypatch, caplog):
    unpack(home)
    monkeypatch.setattr(module, "PHOTOGRAPHS", 13_233)
    lfw(tmp_path / "cache").load()
    assert "only 180 of 13233 photographs" in caplog.text


def test_an_empty_folder_is_named(home, tmp_path):
    home.mkdir(parents=True)
    with pytest.raises(ArenaError, match=f"expected photographs in {home}, found none; by hand: unpack"):
        lfw(tmp_path / "cache").load()


@pytest.mark.parametrize("crop", [7, 251])
def test_no_other_crop(tmp_path, crop):
    with pytest.raises(ArenaError, match=f"data.crop={crop}: expected 8 to 250"):
        lfw(tmp_path, crop=crop)


def test_a_cache_that_cannot_be_written_names_the_key(home, tmp_path):
    unpack(home)
    (tmp_path / "file").touch()
    with pytest.raises(ArenaError, match=r"^cache_dir="):
        lfw(tmp_path / "file").load()
