"""The floor: generator-train drawn with replacement, mirrored where that is allowed, and jittered."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare

from arena.data.reals import Reals
from arena.generators.floor import MOVED, Floor
from arena.imaging.images import ImageShape, on_levels, to_float, to_uint8

COUNTS = {"train": 400, "validation": 100, "test": 1000}


def reals(channels=1, levels=256):
    """100 unlike images on grey levels, of which some pixels are black and some white."""
    images = torch.randn(100, channels, 8, 8, generator=torch.Generator().manual_seed(0)).mul(0.8)
    return Reals(to_uint8(on_levels(images, levels)), np.arange(100))


def floor(mirror=False, channels=1, levels=256):
    return Floor(mirror=mirror, **ImageShape(resolution=8, channels=channels, levels=levels))


def nearest(images, owned):
    """Place of the nearest of the images owned, and the largest difference from it, of each image."""
    distance = (images[:, None] - owned[None]).abs().flatten(2).amax(2)
    return distance.argmin(1), distance.amin(1)


@pytest.mark.parametrize(("channels", "levels"), [(1, 17), (3, 256)])
def test_every_image_is_within_a_level_of_a_real_and_on_levels(channels, levels):
    owned = reals(channels, levels)
    banks = floor(channels=channels, levels=levels).forge(COUNTS, seed=1, reals=owned)
    assert {name: len(bank) for name, bank in banks.items()} == COUNTS
    whole = on_levels(to_float(owned.images), levels)
    for bank in banks.values():
        assert torch.equal(on_levels(bank, levels), bank)
        assert float(nearest(bank, whole)[1].max()) <= 2 / (levels - 1) + 1e-5


def test_images_are_drawn_with_replacement_and_alike_often():
    owned = reals()
    drawn, _ = nearest(floor().forge(COUNTS, seed=1, reals=owned)["test"], to_float(owned.images))
    counted = np.bincount(drawn, minlength=100)
    assert chisquare(counted).pvalue > 1e-3
    assert counted.min() < counted.max()


def test_half_are_mirrored_where_the_data_allows_it():
    owned = reals()
    either = to_float(torch.cat([owned.images, owned.images.flip(-1)]))
    for mirror in (False, True):
        which, apart = nearest(floor(mirror).forge(COUNTS, seed=1, reals=owned)["test"], either)
        assert float(apart.max()) <= 2 / 255 + 1e-5
        mirrored = int((which >= 100).sum())
        assert binomtest(mirrored, 1000).pvalue > 1e-3 if mirror else mirrored == 0


def test_the_jitter_moves_that_share_of_grey_pixels_up_and_down_alike_and_no_black_or_white_one():
    images, rng = to_float(reals(3).images), torch.Generator().manual_seed(1)
    change = (floor(channels=3).jitter(images, rng) - images) * 127.5
    grey = images.abs() < 1 - 1e-6
    assert (change[~grey].abs() < 1e-3).all()
    steps = change[grey].round()
    assert set(steps.unique().tolist()) == {-1.0, 0.0, 1.0}
    moved = steps[steps != 0]
    assert binomtest(len(moved), len(steps), MOVED).pvalue > 1e-3
    assert binomtest(int((moved > 0).sum()), len(moved)).pvalue > 1e-3


def test_a_bank_depends_on_its_own_stream_and_the_seed_alone():
    owned = reals()
    banks = floor().forge(COUNTS, seed=1, reals=owned)
    torch.manual_seed(7)
    assert torch.equal(floor().forge({"test": 1000}, seed=1, reals=owned)["test"], banks["test"])
    assert not torch.equal(floor().forge({"test": 1000}, seed=2, reals=owned)["test"], banks["test"])
    assert not torch.equal(banks["train"], banks["test"][:400])
