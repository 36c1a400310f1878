import os
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import joblib
import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from arena.core.errors import ArenaError
from arena.data.downloads import Olivetti, grey_levels


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


def olivetti(cache_dir, resolution=64):
    return Olivetti(resolution=resolution, seed=0, planted_amplitude=8, cache_dir=cache_dir)


def photographs(seed=0, n=400):
    """8-bit faces between 13 and 255, as the file of the real ones."""
    return np.random.default_rng(seed).integers(13, 256, (n, 64, 64), dtype=np.uint8)


def place(home, faces):
    """Put faces where scikit-learn looks for what it has downloaded; it keeps them by column."""
    joblib.dump(faces.transpose(0, 2, 1).reshape(400, 4096), home / "olivetti_py3.pkz")


def forbidden(**_):
    raise AssertionError("fetched although it was there")


def offline(**_):
    raise URLError("no network")


def test_scikit_learns_faces_are_the_levels_of_the_file(home, tmp_path):
    faces = photographs()
    place(home, faces)
    data = olivetti(tmp_path / "cache")
    assert data.reals.images.shape == (400, 1, 64, 64)
    assert (data.resolution, data.channels, data.levels) == (64, 1, 256)
    assert np.array_equal(data.reals.images[:, 0].numpy(), faces - faces.min())


def test_nobody_is_in_two_parts(home, tmp_path):
    place(home, photographs())
    data = olivetti(tmp_path / "cache")
    persons = data.reals.persons
    assert persons is not None
    assert persons.tolist() == [who for who in range(40) for _ in range(10)]
    shown = [set(persons[data.part(name).ids]) for name in ("generator", "detector", "judge", "reference")]
    assert sum(map(len, shown)) == 40


def test_once_cached_scikit_learn_is_not_asked(home, tmp_path, monkeypatch):
    place(home, photographs())
    first = olivetti(tmp_path / "cache").load()
    monkeypatch.setattr(sklearn.datasets, "fetch_olivetti_faces", forbidden)
    again = olivetti(tmp_path / "cache").load()
    assert np.array_equal(again.images, first.images)
    assert str(again.persons) == str(first.persons) != "None"


def test_another_resolution_is_resized_once_and_antialiased(home, tmp_path):
    faces = photographs()
    place(home, faces)
    small = olivetti(tmp_path / "cache", 16).load().images[3, 0]
    expected = Image.fromarray(faces[3] - faces.min()).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(small, np.asarray(expected))


def test_offline_says_where_the_file_belongs(home, tmp_path, monkeypatch):
    monkeypatch.setattr(sklearn.datasets, "fetch_olivetti_faces", offline)
    with pytest.raises(ArenaError) as error:
        olivetti(tmp_path / "cache").load()
    assert str(error.value).startswith("data=olivetti: expected in ")
    assert str(error.value).endswith(f" as {home / 'olivettifaces.mat'}")
    assert "\n" not in str(error.value)


def test_the_fetcher_is_told_not_to_try_for_long(tmp_path, monkeypatch):
    def fetch(*, n_retries, delay):
        assert (n_retries, delay) == (1, 0.1)
        faces = photographs().astype(np.float32) / 255
        return SimpleNamespace(images=faces, target=np.arange(400) // 10)

    monkeypatch.setattr(sklearn.datasets, "fetch_olivetti_faces", fetch)
    assert np.array_equal(olivetti(tmp_path / "cache").load().images[:, 0].numpy(), photographs())


@pytest.mark.parametrize("brightest", [255, 242, 130, 127, 1])
def test_grey_levels_are_exact_whatever_they_were_divided_by(brightest):
    levels = np.arange(brightest + 1, dtype=np.float32)
    expected = levels * (
        255 // brightest
    )  # two levels, say, are black and white: nothing tells how far apart they were
    assert np.array_equal(grey_levels(levels / np.float32(brightest)), expected)


@pytest.mark.skipif("ARENA_TEST_DATA" not in os.environ, reason="ARENA_TEST_DATA names no folder of real images")
def test_the_real_faces_lose_no_level(home, tmp_path):
    files = sorted((Path(os.environ["ARENA_TEST_DATA"]) / "olivetti").glob("*.png"))
    faces = np.stack([np.asarray(Image.open(file)) for file in files])
    place(home, faces)
    data = olivetti(tmp_path / "cache")
    assert np.array_equal(data.reals.images[:, 0].numpy(), faces)
    assert len(data.part("judge")) == 120
