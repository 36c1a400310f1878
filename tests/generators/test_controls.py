from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from arena.core.errors import ArenaError
from arena.data.reals import Reals
from arena.generators.artefacts import Artefact, Traits, plant
from arena.generators.controls import Copycat, Oracle, Planted
from arena.imaging.images import to_float

COUNTS = {"train": 20, "validation": 10, "test": 30}


@pytest.fixture
def reals() -> Reals:
    """200 reals whose first pixels spell their index, so that every image can be told from every other."""
    images = torch.randint(0, 2, (200, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8) * 120
    images[:, 0, 0, 0] = torch.arange(200, dtype=torch.uint8)
    return Reals(images, np.arange(1000, 1200))


def whose(images: Tensor) -> list[int]:
    return [round(value) for value in ((images[:, 0, 0, 0] + 1) * 127.5).tolist()]


def oracle() -> Oracle:
    return Oracle(resolution=8, channels=1, levels=256)


def copycat() -> Copycat:
    return Copycat(resolution=8, channels=1, levels=256)


def test_the_oracles_banks_are_real_disjoint_and_not_of_its_training_set(reals: Reals) -> None:
    banks = oracle().forge(COUNTS, seed=1, reals=reals)
    assert {name: len(bank) for name, bank in banks.items()} == COUNTS
    drawn = [index for bank in banks.values() for index in whose(bank)]
    assert len(set(drawn)) == len(drawn)
    for bank in banks.values():
        assert torch.equal(bank, to_float(reals.images[whose(bank)]))
    training_ids = set(oracle().training_set(reals).ids.tolist())
    assert len(training_ids) == 100
    assert not training_ids & {1000 + index for index in drawn}


def test_the_oracle_draws_anew_every_round_from_the_same_half(reals: Reals) -> None:
    halves = [set(whose(oracle().forge({"test": 100}, seed, reals)["test"])) for seed in (1, 2)]
    assert halves[0] == halves[1]
    assert whose(oracle().forge(COUNTS, 1, reals)["test"]) != whose(oracle().forge(COUNTS, 2, reals)["test"])
    torch.manual_seed(5)
    assert whose(oracle().forge(COUNTS, 1, reals)["test"]) == whose(oracle().forge(COUNTS, 1, reals)["test"])


def test_where_images_run_out_all_banks_shrink_in_proportion(reals: Reals) -> None:
    banks = oracle().forge({"train": 400, "validation": 100, "test": 300}, seed=1, reals=reals)
    assert {name: len(bank) for name, bank in banks.items()} == {"train": 50, "validation": 12, "test": 37}
    drawn = [index for bank in banks.values() for index in whose(bank)]
    assert len(set(drawn)) == len(drawn)


def test_nobody_is_in_two_banks_of_the_oracle_or_in_its_training_set_too(reals: Reals) -> None:
    """A judge would know the persons of one bank by another, and catch what is real."""
    persons = np.arange(200) // 5
    known = Reals(reals.images, reals.ids, persons=persons)
    banks = oracle().forge(COUNTS, seed=1, reals=known)
    groups = [set(persons[whose(bank)]) for bank in banks.values()]
    trained = oracle().training_set(known).persons
    assert trained is not None
    groups.append(set(trained))
    assert all(groups)
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_the_copycat_copies_its_training_set(reals: Reals) -> None:
    banks = copycat().forge({"train": 150, "test": 450}, seed=1, reals=reals)
    assert len(set(whose(banks["train"]))) == 150
    counted = np.bincount(whose(banks["test"]), minlength=200)
    assert counted.min() >= 2
    assert counted.max() <= 3
    assert torch.equal(banks["test"], to_float(reals.images[whose(banks["test"])]))
    assert len(copycat().training_set(reals)) == 200


def test_a_copycats_bank_does_not_depend_on_the_others(reals: Reals) -> None:
    alone = copycat().forge({"test": 40}, seed=1, reals=reals)["test"]
    assert torch.equal(alone, copycat().forge({"train": 9, "test": 40}, seed=1, reals=reals)["test"])


def test_planted_is_the_oracle_with_its_artefact(reals: Reals) -> None:
    planted = Planted(resolution=8, channels=1, levels=256, kind="stripes", amplitude=8)
    banks, clean = planted.forge(COUNTS, seed=1, reals=reals), oracle().forge(COUNTS, seed=1, reals=reals)
    for name, bank in banks.items():
        assert torch.equal(bank, plant(clean[name], "stripes", 8, 256))
        assert ((bank - clean[name]).abs().max() * 127.5).item() == pytest.approx(8, abs=1e-3)
    assert set(planted.training_set(reals).ids) == set(oracle().training_set(reals).ids)


def test_an_artefact_that_cannot_be_planted_ends_before_the_race() -> None:
    with pytest.raises(ArenaError, match=r"generator.amplitude=300"):
        Planted(resolution=8, channels=1, levels=256, kind="stripes", amplitude=300)


@pytest.mark.parametrize(
    ("kind", "traits"),
    [
        ("checkerboard", {"period": 4}),
        ("spectral_peak", {"frequency": (0.125, 0)}),
        ("colour_shift", {"colour": "blue"}),
        ("noise_residual", {"multiplicative": True}),
        ("upsampling_trace", {"factor": 4, "interpolation": "bilinear"}),
        ("quantisation", {}),
    ],
    ids=str,
)
def test_planted_has_the_traits_it_was_given(reals: Reals, kind: Artefact, traits: dict[str, Any]) -> None:
    planted = Planted(resolution=8, channels=1, levels=256, kind=kind, amplitude=20, **traits)
    bank, clean = planted.forge(COUNTS, seed=1, reals=reals)["test"], oracle().forge(COUNTS, 1, reals)["test"]
    given = Traits(**traits)
    assert torch.equal(bank, plant(clean, kind, 20, 256, given))
    assert not torch.equal(bank, clean)
    as_default = torch.equal(bank, plant(clean, kind, 20, 256))
    assert as_default is (kind in ("colour_shift", "quantisation"))  # which on grey images have no other


def test_a_trait_that_does_not_fit_the_data_ends_before_the_race() -> None:
    with pytest.raises(ArenaError, match=r"generator.period=6: expected a divisor of the side of 8 pixels"):
        Planted(resolution=8, channels=1, levels=256, kind="checkerboard", amplitude=8, period=6)
