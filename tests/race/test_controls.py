"""Judges on controls of known outcome (rule of evidence 7)."""

from pathlib import Path
from statistics import NormalDist

import pytest
from rich.console import Console

from arena.answer.answer import answer_of
from arena.answer.findings import technique_estimate
from arena.answer.runs import read_run
from arena.race.loop import carry_out
from arena.race.phases.fakes import forge, measure
from arena.race.phases.judges import budgets, judge
from tests.building import arena_in, carry_out_phases

pytestmark = pytest.mark.slow

SEEDS = (11, 12, 13, 14, 15)
CONTROL = ("experiment=smoke", "battery=small", "judge.reals=null", "logger=none", "access=none", "race.rounds=0")
# Enough for a judge to catch the planted control.
BUDGET = ("battery.images=4000", "judge.images=4000", "battery.batch=64", "battery.members.cnn.network.width=8")
SMALL = ("battery.images=512", "judge.images=512", "battery.batch=32")
BANK = ("bank.train=400", "bank.validation=100", "bank.test=400", "bank.cell=100")


def test_the_oracle_is_at_one_half_for_every_technique(tmp_path: Path):
    """Joint 99.9% bounds over five seeds, which also split the data, and five techniques."""
    z = {}
    for seed in SEEDS:
        run = tmp_path / str(seed) / "run"
        overrides = ("generator=oracle", f"seed={seed}", f"data.seed={seed}")
        race = arena_in(run, *CONTROL, *BUDGET, *BANK, *overrides)
        judged = [(judge, 0, player) for player in budgets(race, 0)]
        carry_out_phases(race, (forge, 0, "generator"), *judged, (measure, 0, "generator"))
        found = read_run(run)
        assert found.records
        for technique in race.techniques:
            estimate = technique_estimate([found], technique)
            assert estimate is not None
            z[seed, technique] = (estimate.value - 0.5) / estimate.error
    assert len(z) == 25
    bound = NormalDist().inv_cdf(1 - 0.001 / (2 * len(z)))
    assert {key: value for key, value in z.items() if abs(value) > bound} == {}


@pytest.mark.parametrize(("control", "memorised"), [("copycat", True), ("floor", True), ("oracle", False)])
def test_copycat_and_floor_are_invalid_since_memorised_and_the_oracle_is_not(run: Path, control: str, memorised: bool):
    race = arena_in(run, *CONTROL, *SMALL, f"generator={control}")
    carry_out(race, Console(quiet=True))
    found = answer_of([read_run(run)]).verdict
    assert found.guards.memorisation.holds is not memorised
    if memorised:
        assert found.answer == "invalid"
        assert "memori" in found.sentence
    else:
        assert found.answer in ("undecided", "passes_all")


def test_a_planted_checkerboard_of_eight_grey_levels_is_caught_on_portraits(run: Path):
    """By all but perhaps the azimuthal spectrum, whose rings leave the corner out."""
    portraits = ("data=portraits", "data.n=900", "generator=planted", "generator.amplitude=8")
    smaller = ("battery.images=512", "judge.images=3200", "judge.degradations=[]")
    smaller += ("battery.batch=32", "battery.members.cnn.network.width=4")
    race = arena_in(run, *CONTROL, *BANK, *portraits, *smaller)
    carry_out(race, Console(quiet=True))
    found = answer_of([read_run(run)]).verdict
    assert found.answer == "caught"
    for technique, its in found.techniques.items():
        assert its.finding == "caught" or technique == "spectrum", (technique, its)
