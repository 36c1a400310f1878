"""Photographs that are nearly equal stay in one part of the split."""

import io
import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.fft import idctn

from arena.core.errors import ArenaError
from arena.data.files import ImageFolder
from arena.data.likeness import SMALLEST, groups_of_like, joined
from arena.data.split import split_reals

PARTS = ("generator", "detector", "judge", "reference", "locked")


def photographs(n: int, side: int = 48, seed: int = 0) -> list[Image.Image]:
    """Random images, all different, whose spectrum falls with frequency as that of photographs does."""
    rng = np.random.default_rng(seed)
    frequency = 1.0 + np.add.outer(np.arange(12), np.arange(12))
    spectrum = np.zeros((n, side, side))
    spectrum[:, :12, :12] = rng.normal(size=(n, 12, 12)) / frequency**1.5
    images = np.asarray(idctn(spectrum, axes=(1, 2)))
    low, high = images.min(axis=(1, 2), keepdims=True), images.max(axis=(1, 2), keepdims=True)
    grey = (20 + 200 * (images - low) / (high - low)).astype(np.uint8)
    return [Image.fromarray(image).convert("RGB") for image in grey]


def compressed(image: Image.Image) -> Image.Image:
    image.save(buffer := io.BytesIO(), "JPEG", quality=50)
    return Image.open(buffer).convert("RGB")


COPIES = {
    "exact": lambda image: image,
    "jpeg": compressed,
    "half": lambda image: image.resize((24, 24)).resize(image.size),
    "brighter": lambda image: image.point(lambda value: min(255, round(1.1 * value))),
}


def tensor(images: list[Image.Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2)


def test_different_photographs_are_groups_of_their_own():
    assert groups_of_like(tensor(photographs(500))).tolist() == list(range(500))


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found(kind):
    originals = photographs(60)
    groups = groups_of_like(tensor([*originals, *map(COPIES[kind], originals)]))
    assert (groups[:60] == groups[60:]).mean() > 0.95
    assert len(np.unique(groups[:60])) == 60


def test_many_images_are_compared_in_blocks():
    originals = tensor(photographs(700, side=SMALLEST))
    images = torch.cat([originals, originals.flip(0), originals, originals])
    groups = groups_of_like(images)
    assert torch.equal(torch.from_numpy(groups[:700]), torch.from_numpy(groups[700:1400][::-1].copy()))
    assert len(np.unique(groups)) == len(np.unique(groups[:700]))


def test_small_images_are_not_compared():
    """Handwritten digits of 8 pixels are alike without being copies."""
    images = torch.zeros(5, 1, SMALLEST // 2, SMALLEST // 2, dtype=torch.uint8)
    assert groups_of_like(images).tolist() == [0, 1, 2, 3, 4]
    assert groups_of_like(images[:0]).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20))
@settings(deadline=None)
def test_joined_sources_divide_neither_persons_nor_groups(pairs):
    persons, groups = (np.unique(values, return_inverse=True)[1] for values in zip(*pairs, strict=True))
    found = joined(persons, groups)
    for labels in (persons, groups):
        for label in np.unique(labels):
            assert len(np.unique(found[labels == label])) == 1
    assert len(np.unique(found)) <= min(len(np.unique(persons)), len(np.unique(groups)))
    assert set(found) == set(range(found.max() + 1))


def folder(path, images: list[Image.Image], **changes) -> ImageFolder:
    path.mkdir()
    for number, image in enumerate(images):
        image.save(path / f"{number:04d}.png")
    terms = {"resolution": 16, "channels": 3, "persons": None, "seed": 0, "planted_amplitude": 2} | changes
    data = ImageFolder(path=path, cache_dir=path.with_name("cache"), **terms)
    data.setup()
    return data


def test_copies_in_a_folder_stay_together_and_are_told(tmp_path, caplog):
    originals = photographs(230)
    with caplog.at_level(logging.WARNING):
        data = folder(tmp_path / "photographs", [*originals, *map(compressed, originals[:40])], locked=0.1)
    assert data.near_duplicates == 40
    assert caplog.text.count("40 of 270 images are nearly equal to others") == 1
    part = {int(index): name for name in PARTS for index in getattr(data.split, name)}
    assert len(part) == 270
    assert all(part[k] == part[230 + k] for k in range(40))


def test_a_folder_without_copies_has_the_split_of_its_number_of_images(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        data = folder(tmp_path / "photographs", photographs(230))
    assert (data.near_duplicates, caplog.text) == (0, "")
    assert data.reals.persons is None
    for name in PARTS:
        np.testing.assert_array_equal(getattr(data.split, name), getattr(split_reals(230, 0), name))


def test_many_copies_of_one_photograph_are_refused(tmp_path):
    with pytest.raises(
        ArenaError, match=r"data: split by person, 0 of 230 usable images .*: 1 persons \(or photographs"
    ):
        folder(tmp_path / "photographs", photographs(1) * 230)


def test_persons_and_copies_are_joined(tmp_path):
    """Two names whose folders hold a copy of one photograph are one source."""
    originals = photographs(200)
    data = folder(tmp_path / "photographs", [*originals, originals[3]], persons=r"(\d+)")
    persons = data.reals.persons
    assert persons is not None
    assert persons[200] == persons[3]
    assert len(np.unique(persons)) == 200


def test_exact_copies_without_number_are_one_group():
    """All pairs of 60,000 copies would take more memory than a machine has."""
    assert not groups_of_like(tensor(photographs(1, side=SMALLEST)).expand(60_000, -1, -1, -1)).any()
