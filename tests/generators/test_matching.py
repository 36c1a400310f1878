"""Baselines without a detector: fakes whose histogram or mean spectrum is that of generator-train."""

from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from arena.core.errors import ArenaError
from arena.data.reals import Reals
from arena.generators.gan2014 import Gan2014Generator
from arena.generators.matching import Matched, fit_matching
from arena.generators.module import module_generator
from arena.imaging.images import on_levels, to_float, to_uint8
from tests.building import arena_in

KINDS: tuple[Matched, ...] = get_args(Matched)
ALL = pytest.mark.parametrize("matched", KINDS)
SHAPES = pytest.mark.parametrize(("channels", "levels"), [(1, 17), (3, 256), (1, 2)])


def blurry(n: int, channels: int, levels: int, seed: int, sharp: float = 0.4, bright: float = 0.0) -> Tensor:
    """Return smooth random images, float and with much exact black."""
    rng = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, channels, 16, 16, generator=rng)
    smooth = torch.nn.functional.avg_pool2d(noise, 3, stride=1, padding=1)
    values = (3 * smooth + sharp * noise + bright).clamp(-1, 1)
    return on_levels(values, levels)


def case(channels: int, levels: int) -> tuple[Tensor, Tensor]:
    """Return reals (uint8), and fakes of another histogram and spectrum, float and never quite black or white."""
    reals = to_uint8(blurry(300, channels, levels, 0))
    rng = torch.Generator().manual_seed(5)
    fakes = blurry(250, channels, 256, 1, sharp=1.0, bright=0.3)
    fakes = (1.5 * (fakes + 0.05 * torch.randn(fakes.shape, generator=rng))).tanh()
    return reals, fakes


def histogram(images: Tensor, levels: int) -> NDArray[np.float64]:
    """Return the share of each level in each channel (C, levels), by numpy."""
    ranks = ((images + 1) * (levels - 1) / 2).round().long().numpy()
    return np.stack(
        [np.bincount(ranks[:, c].ravel(), minlength=levels) / ranks[:, c].size for c in range(images.shape[1])]
    )


def power(images: Tensor) -> NDArray[np.float64]:
    """Return the mean power spectrum (C, H, W), by numpy."""
    return np.square(np.abs(np.fft.fft2(images.double().numpy()))).mean(0)


@pytest.mark.parametrize("matched", ["histogram", "both"])
@SHAPES
def test_the_histogram_of_mapped_fakes_is_that_of_the_reals(channels: int, levels: int, matched: Matched) -> None:
    reals, fakes = case(channels, levels)
    mapped = fit_matching(matched, fakes, reals, levels)(fakes)
    goal = histogram(on_levels(to_float(reals), levels), levels)
    assert np.abs(histogram(on_levels(fakes, levels), levels) - goal).sum(1).min() > 0.1
    # Shares are of different numbers of pixels: each end of a range is off by half a pixel at most.
    np.testing.assert_allclose(histogram(mapped, levels), goal, atol=2 / fakes[:, 0].numel())


@pytest.mark.parametrize("matched", ["spectrum", "both"])
@pytest.mark.parametrize(("channels", "levels"), [(1, 17), (3, 256)])
def test_the_mean_spectrum_of_mapped_fakes_is_that_of_the_reals(channels: int, levels: int, matched: Matched) -> None:
    reals, fakes = case(channels, levels)
    mapped = fit_matching(matched, fakes, reals, levels)(fakes)
    goal = power(on_levels(to_float(reals), levels))
    assert np.abs(power(on_levels(fakes, levels)) / goal - 1).max() > 0.5
    np.testing.assert_allclose(power(mapped), goal, rtol=0.05)


@ALL
@SHAPES
def test_reals_matched_to_themselves_are_unchanged(channels: int, levels: int, matched: Matched) -> None:
    reals, _ = case(channels, levels)
    images = on_levels(to_float(reals), levels)
    assert torch.equal(fit_matching(matched, images, reals, levels)(images), images)


@ALL
@SHAPES
def test_mapped_images_are_on_the_grey_levels_and_in_range(channels: int, levels: int, matched: Matched) -> None:
    reals, fakes = case(channels, levels)
    mapped = fit_matching(matched, fakes, reals, levels)(3 * blurry(20, channels, 256, 9))  # others, far out of range
    assert torch.equal(mapped, on_levels(mapped, levels))
    assert mapped.shape == (20, channels, 16, 16)


def test_a_histogram_is_matched_by_a_monotone_map_of_pixels() -> None:
    reals, fakes = case(1, 17)
    mapped = fit_matching("histogram", fakes, reals, 17)(fakes).flatten()
    order = fakes.flatten().argsort()
    steps = mapped[order].diff()
    close = fakes.flatten()[order].diff() < 4e-3  # neighbours only decide between pixels this close
    assert (steps[~close] >= 0).all()


def test_pixels_of_one_value_are_told_apart_by_their_neighbours() -> None:
    """Of two-level fakes with too much black, the black pixels beside white ones become grey."""
    fakes = -torch.ones(100, 1, 8, 8)
    fakes[:, :, 3:5, 3:5] = 1
    reals = torch.zeros(50, 1, 8, 8, dtype=torch.uint8)
    reals[:, :, 3:5, 3:5] = 255
    reals[:, :, 2, 3:5] = reals[:, :, 5, 3:5] = reals[:, :, 3:5, 2] = reals[:, :, 3:5, 5] = 128  # 8 pixels
    mapped = fit_matching("histogram", fakes, reals, 3)(fakes)
    torch.testing.assert_close(mapped, on_levels(to_float(reals), 3).repeat(2, 1, 1, 1))


def test_a_spectrum_that_the_fakes_do_not_have_gives_finite_images() -> None:
    reals, _ = case(1, 17)
    for matched in KINDS:
        mapped = fit_matching(matched, torch.zeros(100, 1, 16, 16), reals, 17)(torch.zeros(3, 1, 16, 16))
        assert mapped.isfinite().all()


# In a generator.


def generator(matched: Matched | None, channels: int = 1) -> Gan2014Generator:
    torch.manual_seed(0)
    return Gan2014Generator(resolution=8, channels=channels, levels=17, width=16, z_dim=6, matched=matched).eval()


def train_reals(channels: int = 1) -> Reals:
    images = to_uint8(blurry(400, channels, 17, 3)[:, :, :8, :8])
    return Reals(images, np.arange(len(images)))


@ALL
@pytest.mark.parametrize("channels", [1, 3])
def test_all_banks_of_a_round_have_one_map_which_depends_on_no_bank(matched: Matched, channels: int) -> None:
    reals, own = train_reals(channels), generator(matched, channels)
    banks = own.forge({"train": 5, "test": 40}, 7, reals)
    plain = generator(None, channels).forge({"train": 5, "test": 40}, 7, reals)
    assert not torch.equal(banks["test"], on_levels(plain["test"], 17))
    assert torch.equal(own.forge({"test": 40}, 7, reals)["test"], banks["test"])
    # Judges of another seed have other fakes. A map that was fitted anew would move these.
    both = torch.cat([plain["test"], own.sample({"test": 40}, 8)["test"]])
    fakes = own.sample({"other": 4096}, 123)["other"]
    again = fit_matching(matched, fakes, reals.images, 17)(both)
    forged = torch.cat([banks["test"], own.forge({"test": 40}, 8, reals)["test"]])
    assert (again - forged).abs().mean() < 0.02  # another sample of the same generator gives nearly the same map


def test_the_network_and_its_own_images_do_not_know_the_map() -> None:
    plain, matched = generator(None), generator("both")
    matched.load_state_dict(plain.state_dict())
    assert plain.state_dict().keys() == matched.state_dict().keys()
    z, rng = torch.randn(4, 6), torch.Generator()
    assert torch.equal(plain.draw(z, rng), matched.draw(z, rng))
    assert torch.equal(plain.sample({"test": 4}, 1)["test"], matched.sample({"test": 4}, 1)["test"])


@pytest.mark.parametrize("trainable", [False, True])
def test_a_network_from_outside_can_be_matched(trainable: bool) -> None:
    reals = train_reals()
    torch.manual_seed(0)
    own = module_generator(
        name="tests.generators.foreign.Net",
        z_dim=6,
        trainable=trainable,
        matched="histogram",
        resolution=8,
        channels=1,
        levels=17,
    )
    bank = own.forge({"test": 500}, 1, reals)["test"]
    np.testing.assert_allclose(histogram(bank, 17), histogram(on_levels(to_float(reals.images), 17), 17), atol=0.03)


def test_an_unknown_matching_is_named(tmp_path) -> None:
    with pytest.raises(ArenaError, match=r"generator.matched=phase: expected histogram, spectrum or both or null"):
        arena_in(tmp_path / "run", "experiment=smoke", "generator.matched=phase")
    with pytest.raises(ArenaError, match=r"generator.output=relu: expected scaled_tanh or tanh"):
        arena_in(tmp_path / "run", "experiment=smoke", "generator.output=relu")
