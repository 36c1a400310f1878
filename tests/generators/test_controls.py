from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from arena.core.errors import ArenaError
from arena.data.reals import Reals
from arena.generators.controls import Artefact, Copycat, Oracle, Planted
from arena.imaging.images import ImageShape, on_levels, to_float
from tests.detectors.planted import plant

COUNTS = {"train": 20, "validation": 10, "test": 30}
SHAPE = ImageShape(resolution=8, channels=1, levels=256)
oracle, copycat = Oracle(**SHAPE), Copycat(**SHAPE)


@pytest.fixture
def reals() -> Reals:
    """200 reals whose first pixel is their index, so that every image is identifiable."""
    images = torch.randint(0, 2, (200, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8) * 120
    images[:, 0, 0, 0] = torch.arange(200, dtype=torch.uint8)
    return Reals(images, np.arange(1000, 1200))


def indices(images: Tensor) -> list[int]:
    return [round(value) for value in ((images[:, 0, 0, 0] + 1) * 127.5).tolist()]


def test_the_oracles_banks_are_real_disjoint_and_not_of_its_training_set(reals: Reals) -> None:
    banks = oracle.forge(COUNTS, seed=1, reals=reals)
    assert {name: len(bank) for name, bank in banks.items()} == COUNTS
    drawn = [index for bank in banks.values() for index in indices(bank)]
    assert len(set(drawn)) == len(drawn)
    for bank in banks.values():
        assert torch.equal(bank, to_float(reals.images[indices(bank)]))
    training_ids = set(oracle.training_set(reals).ids.tolist())
    assert len(training_ids) == 50  # a quarter
    assert not training_ids & {1000 + index for index in drawn}


def test_the_oracle_draws_anew_every_round_from_the_same_part(reals: Reals) -> None:
    halves = [set(indices(oracle.forge({"test": 150}, seed, reals)["test"])) for seed in (1, 2)]
    assert halves[0] == halves[1]
    first, second = (indices(oracle.forge(COUNTS, seed, reals)["test"]) for seed in (1, 2))
    torch.manual_seed(5)
    assert indices(oracle.forge(COUNTS, 1, reals)["test"]) == first != second


def test_all_banks_shrink_in_proportion_if_images_run_out(reals: Reals) -> None:
    banks = oracle.forge({"train": 400, "validation": 100, "test": 300}, seed=1, reals=reals)
    assert {name: len(bank) for name, bank in banks.items()} == {"train": 75, "validation": 18, "test": 56}
    drawn = [index for bank in banks.values() for index in indices(bank)]
    assert len(set(drawn)) == len(drawn)


def test_each_person_is_in_one_bank_of_the_oracle_or_in_its_training_set(reals: Reals) -> None:
    """A person in two banks would let a judge recognise real images."""
    persons = np.arange(200) // 5
    known = Reals(reals.images, reals.ids, persons=persons)
    banks = oracle.forge(COUNTS, seed=1, reals=known)
    groups = [set(persons[indices(bank)]) for bank in banks.values()]
    trained = oracle.training_set(known).persons
    assert trained is not None
    groups.append(set(trained))
    assert all(groups)
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_the_copycat_copies_its_training_set_and_each_bank_by_its_own_stream(reals: Reals) -> None:
    banks = copycat.forge({"train": 150, "test": 450}, seed=1, reals=reals)
    assert len(set(indices(banks["train"]))) == 150
    counted = np.bincount(indices(banks["test"]), minlength=200)
    assert counted.min() >= 2
    assert counted.max() <= 3
    assert torch.equal(banks["test"], to_float(reals.images[indices(banks["test"])]))
    assert torch.equal(banks["test"], copycat.forge({"test": 450}, seed=1, reals=reals)["test"])
    assert len(copycat.training_set(reals)) == 200


@pytest.mark.parametrize(
    ("kind", "traits"),
    [
        ("stripes", {}),
        ("checkerboard", {"period": 4}),
        ("spectral_peak", {"frequency": (0.125, 0)}),
        ("colour_shift", {"colour": "blue"}),
        ("noise_residual", {"multiplicative": True}),
        ("upsampling_trace", {"factor": 4, "interpolation": "bilinear"}),
        ("quantisation", {}),
    ],
    ids=str,
)
def test_planted_is_the_oracle_with_its_artefact(reals: Reals, kind: Artefact, traits: dict[str, Any]) -> None:
    planted = Planted(kind=kind, amplitude=20, **traits, **SHAPE)
    banks, clean = planted.forge(COUNTS, seed=1, reals=reals), oracle.forge(COUNTS, seed=1, reals=reals)
    for name, bank in banks.items():
        assert torch.equal(bank, planted.plant(clean[name]))
        assert not torch.equal(bank, clean[name])
    assert set(planted.training_set(reals).ids) == set(oracle.training_set(reals).ids)
    as_default = torch.equal(banks["test"], plant(clean["test"], kind, 20, 256))
    assert as_default is (kind == "colour_shift" or not traits)  # the colour does not matter on grey images


KINDS: tuple[Artefact, ...] = get_args(Artefact)
ALIKE: tuple[Artefact, ...] = ("checkerboard", "stripes", "spectral_peak", "noise_residual")
"""Kinds that add the same pattern to every image."""


def images(n: int = 4, channels: int = 3, side: int = 16, levels: int = 256, inside: float = 0.6) -> Tensor:
    """Return random images on levels, between two tones."""
    rng = torch.Generator().manual_seed(n * channels * side)
    return on_levels(inside * (2 * torch.rand(n, channels, side, side, generator=rng) - 1), levels)


def moved(before: Tensor, after: Tensor, levels: int = 256) -> Tensor:
    """Return the change of each pixel in grey levels."""
    return (after - before) * (levels - 1) / 2


def pattern(kind: Artefact, side: int = 16, **traits: Any) -> Tensor:
    return Planted(kind=kind, amplitude=1, resolution=side, channels=1, levels=256, **traits).pattern()


# Artefacts of every kind.


@given(
    kind=st.sampled_from(KINDS),
    channels=st.sampled_from([1, 3]),
    levels=st.sampled_from([2, 17, 256]),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80, deadline=None)
def test_planted_images_stay_on_levels_and_no_pixel_moves_by_more_than_the_amplitude(
    kind: Artefact, channels: int, levels: int, share: float, seed: int
) -> None:
    amplitude = round(share * (levels - 1))
    rng = torch.Generator().manual_seed(seed)
    clean = on_levels(2 * torch.rand(3, channels, 8, 8, generator=rng) - 1, levels)
    planted = plant(clean, kind, amplitude, levels)
    assert torch.equal(planted, on_levels(planted, levels))
    assert moved(clean, planted, levels).abs().max() <= amplitude + 1e-3
    assert torch.equal(planted, plant(clean, kind, amplitude, levels))


@pytest.mark.parametrize("traits", [{}, {"period": 4, "colour": "blue", "factor": 4, "interpolation": "bicubic"}])
@pytest.mark.parametrize(("levels", "amplitude"), [(17, 2), (256, 0), (256, 3), (256, 8)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_peak_is_the_amplitude_without_clipping(
    kind: Artefact, levels: int, amplitude: int, traits: dict[str, Any]
) -> None:
    clean = images(levels=levels)
    change = moved(clean, plant(clean, kind, amplitude, levels, **traits), levels)
    torch.testing.assert_close(change.abs().amax((1, 2, 3)), torch.full((4,), float(amplitude)), rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", [*ALIKE, "colour_shift", "quantisation"])
def test_the_mean_is_kept(kind: Artefact) -> None:
    clean = images(n=64)
    assert abs(moved(clean, plant(clean, kind, 8, 256)).mean().item()) < 0.1


# Patterns.


@pytest.mark.parametrize("kind", ALIKE)
def test_a_pattern_is_the_same_for_every_image_and_channel(kind: Artefact) -> None:
    clean = images()
    change = moved(clean, plant(clean, kind, 8, 256))
    torch.testing.assert_close(change, change[:1, :1].expand_as(change), rtol=0, atol=1e-3)
    torch.testing.assert_close(change[0, 0], (8 * pattern(kind)).round(), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "traits", "places"),
    [
        ("checkerboard", {}, {(8, 8)}),
        ("stripes", {}, {(0, 8)}),
        ("checkerboard", {"period": 4}, set(product((4, 12), (4, 12)))),
        ("stripes", {"period": 8}, {(0, 2), (0, 6), (0, 10), (0, 14)}),  # and its odd harmonic
        ("spectral_peak", {}, {(4, 4), (12, 12)}),
        ("spectral_peak", {"frequency": (0.125, 0)}, {(0, 2), (0, 14)}),
        ("spectral_peak", {"frequency": (0.0625, -0.5)}, {(8, 1), (8, 15)}),
    ],
    ids=str,
)
def test_all_energy_is_at_the_given_frequencies(
    kind: Artefact, traits: dict[str, Any], places: set[tuple[int, int]]
) -> None:
    spectrum = np.abs(np.fft.fft2(pattern(kind, **traits).numpy()))
    rows, columns = np.nonzero(spectrum > 1e-3)
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == places


@pytest.mark.parametrize("period", [2, 4, 8, 16])
def test_the_pattern_repeats_after_its_period_and_not_before(period: int) -> None:
    squares = pattern("checkerboard", 32, period=period)
    agreement = [(squares * squares.roll(shift, 1)).mean().item() for shift in range(1, 33)]
    assert agreement.index(1.0) + 1 == period
    assert agreement[period // 2 - 1] == -1
    assert torch.equal(squares, squares.T)
    assert set(squares.unique().tolist()) == {-1, 1}


def test_a_faint_spectral_peak_stands_out_of_noise() -> None:
    clean = images(n=256, channels=1)
    power = np.abs(np.fft.fft2(plant(clean, "spectral_peak", 8, 256).numpy())).mean((0, 1))
    power[0, 0] = 0
    assert np.unravel_index(power.argmax(), power.shape) in {(4, 4), (12, 12)}


def test_the_noise_residual_is_white_and_in_every_image() -> None:
    noise = pattern("noise_residual", 64).numpy()
    assert abs(noise.mean()) < 1e-6
    power = np.abs(np.fft.fft2(noise)) ** 2
    bands = [power[:32, :32].mean(), power[:32, 32:].mean(), power[32:, 32:].mean()]
    np.testing.assert_allclose(bands, np.mean(power), rtol=0.2)
    clean = images(n=16, side=64)
    residual = moved(clean, plant(clean, "noise_residual", 8, 256)).mean((0, 1)).numpy()
    assert np.corrcoef(residual.ravel(), noise.ravel())[0, 1] > 0.9
    assert abs(np.corrcoef(clean.mean((0, 1)).numpy().ravel(), noise.ravel())[0, 1]) < 0.1


def test_a_multiplicative_residual_grows_with_brightness() -> None:
    change = []
    for tone in (0, 100, 200):
        grey = torch.full((1, 1, 16, 16), tone / 127.5 - 1)
        change.append(moved(grey, plant(grey, "noise_residual", 50, 256, multiplicative=True)).abs().max().item())
    assert change == [0, pytest.approx(50 * 100 / 255, abs=0.5), pytest.approx(50 * 200 / 255, abs=0.5)]


# Artefacts that depend on the image.


@pytest.mark.parametrize(
    ("colour", "shifts"),
    [
        ("red", (5, 0, 0)),
        ("blue", (0, 0, 5)),
        ("green", (0, 5, 0)),
        ("red_green", (5, -5, 0)),
        ("red_green", (5,)),  # grey images change their tone
    ],
)
def test_a_colour_shift_is_constant_in_its_channels(colour: str, shifts: tuple[int, ...]) -> None:
    clean = images(channels=len(shifts))
    change = moved(clean, plant(clean, "colour_shift", 5, 256, colour=colour))
    expected = torch.tensor(shifts).float()[:, None, None].expand_as(change)
    torch.testing.assert_close(change, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("factor", [2, 4])
def test_an_upsampling_trace_moves_images_towards_the_resampled_ones(factor: int, interpolation: str) -> None:
    clean, traits = images(inside=1), {"factor": factor, "interpolation": interpolation}
    whole = plant(clean, "upsampling_trace", 255, 256, **traits)
    resampled = F.interpolate(
        F.avg_pool2d(clean, factor), scale_factor=factor, mode=interpolation, align_corners=None
    )  # None is False where a mode knows it
    assert moved(on_levels(resampled, 256), whole).abs().max() < 1.1  # one level, where a mean lies between two
    change, all_of_it = moved(clean, plant(clean, "upsampling_trace", 20, 256, **traits)), moved(clean, whole)
    share = 20 / all_of_it.abs().amax((1, 2, 3), keepdim=True)
    torch.testing.assert_close(change, share * all_of_it, rtol=0, atol=1.1)  # two roundings
    assert (share < 0.5).all()


def test_nearest_upsampling_leaves_blocks() -> None:
    """The residual that NPR uses, of an image and its nearest upsampling, is smaller than in the original."""

    def residual(x: Tensor) -> float:
        return (x - F.interpolate(x[..., ::2, ::2], scale_factor=2)).abs().mean().item()

    clean = images(inside=1)
    whole, faint = (plant(clean, "upsampling_trace", amplitude, 256) for amplitude in (255, 30))
    assert residual(whole) == 0
    assert residual(faint) < 0.95 * residual(clean)


def test_resampling_keeps_a_flat_image() -> None:
    assert torch.equal(plant(torch.zeros(2, 1, 8, 8), "upsampling_trace", 9, 255), torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize(("levels", "amplitude"), [(17, 1), (17, 2), (256, 1), (256, 8)])
def test_wrong_quantisation_leaves_gaps_in_the_histogram(levels: int, amplitude: int) -> None:
    clean = images(n=32, levels=levels, inside=1)
    planted = plant(clean, "quantisation", amplitude, levels)
    used = ((planted + 1) * (levels - 1) / 2).round().unique()
    kept = {float(min(level, levels - 1)) for level in range(0, levels + amplitude, 2 * amplitude + 1)}
    assert set(used.tolist()) == kept
    assert len(((clean + 1) * (levels - 1) / 2).round().unique()) == levels


# Refusals.


@pytest.mark.parametrize(
    ("kind", "amplitude", "traits", "message"),
    [
        ("checkerboard", -1, {}, "generator.amplitude=-1: expected a whole number of the data's grey levels, 0 to 255"),
        ("checkerboard", 0.5, {}, "generator.amplitude=0.5: expected a whole number"),
        ("checkerboard", 256, {}, "generator.amplitude=256: expected a whole number"),
        ("moire", 1, {}, "generator.kind=moire: expected one of checkerboard, stripes, spectral_peak"),
        ("checkerboard", 1, {"period": 6}, "generator.period=6: expected a divisor of the side of 8 pixels"),
        ("stripes", 1, {"period": 16}, "generator.period=16: expected a divisor"),
        ("upsampling_trace", 1, {"factor": 3}, "generator.factor=3: expected a divisor of the side of 8 pixels"),
        ("spectral_peak", 1, {"frequency": (0.6, 0)}, r"generator.frequency=\[0.6, 0\]: expected two frequencies"),
        ("spectral_peak", 1, {"frequency": (0, 0)}, "generator.frequency=.*: expected two frequencies"),
        ("spectral_peak", 1, {"frequency": (0.1,)}, "generator.frequency=.*: expected two frequencies"),
    ],
    ids=str,
)
def test_an_artefact_that_cannot_be_planted_is_named(
    kind: Artefact, amplitude: float, traits: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArenaError, match=message):
        Planted(kind=kind, amplitude=amplitude, **traits, **SHAPE)
