"""Races whose fakes are matched to generator-train after the network (``generator.matched``)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from safetensors.torch import load_file

from arena.answer.answer import find_answers
from arena.core.progress import Progress
from arena.race.checkpoints import load_bank, load_generator, to_bank
from arena.race.loop import carry_out, run_race
from arena.race.phases.fakes import forge
from arena.race.phases.generator import cache_key, warm_up
from arena.race.race import Race
from tests.building import tiny_arena


def histogram(images_uint8: torch.Tensor) -> NDArray[np.float64]:
    return np.bincount(images_uint8.numpy().ravel(), minlength=256) / images_uint8.numel()


def test_a_warm_up_depends_on_the_output_and_not_on_the_matching(tmp_path: Path) -> None:
    settings = ([], ["generator.matched=both"], ["generator.output=tanh"])
    keys = [cache_key(tiny_arena(tmp_path / str(k), *each)) for k, each in enumerate(settings)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.slow
def test_a_finished_run_is_judged_again_with_matched_fakes(finished: Race, tmp_path: Path) -> None:
    """The generator is that of the run, and its pixels have the histogram of generator-train."""
    start = [f"race.from={finished.run}", "race.rounds=0"]
    race = tiny_arena(tmp_path / "matched", *start, "generator.matched=histogram")
    carry_out(race, Console(quiet=True))
    ours, theirs = (load_file(layout.generator(k)) for layout, k in ((race.layout, 0), (finished.layout, 2)))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    matched, plain = (
        to_bank(load_generator(each, k).forge({"test": 2000}, 5, race.generator_reals)["test"], race.data.levels)
        for each, k in ((race, 0), (finished, 2))
    )
    goal = histogram(race.generator_reals.images)
    far, near = (np.abs(histogram(fakes) - goal).sum() for fakes in (plain, matched))
    assert near < 0.04 < 0.5 * far
    # The bank that the judges test has the same map.
    bank = load_bank(race, 0).test
    forged = load_generator(race, 0).forge(race.bank.counts, race.seed_of("forge"), race.generator_reals)["test"]
    assert torch.equal(bank, to_bank(forged, race.data.levels))


@pytest.mark.slow
def test_the_answer_sets_a_branch_beside_the_same_branch_with_matched_fakes(finished: Race, tmp_path: Path) -> None:
    start = [f"race.from={finished.run}", "race.rounds=0"]
    for matched in ("null", "spectrum"):
        run_race(tiny_arena(tmp_path / matched, *start, f"generator.matched={matched}"), Console(quiet=True))
    (plain, mapped), _ = find_answers([tmp_path])
    assert (plain.condition.matching, mapped.condition.matching) == (None, "spectrum")
    assert list(plain.contrasts) == ["white_box, spectrum matched"]
    assert all(each.pairs == 1 for each in plain.contrasts["white_box, spectrum matched"])


@pytest.mark.parametrize("generator", ["gan2014", "style"])
def test_a_bank_is_on_levels_and_one_seed_forges_it_again(tmp_path: Path, generator: str) -> None:

    races = [
        tiny_arena(tmp_path / str(k), "race.rounds=0", "generator.matched=both", generator=generator) for k in range(2)
    ]
    for race in races:
        with Progress(Console(quiet=True), [], 1.0) as progress:
            warm_up(race, progress)
        forge(race, 0)
    first, second = (load_bank(race, 0) for race in races)
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
    assert set(first.test.unique().tolist()) <= set(races[0].generator_reals.images.unique().tolist())
