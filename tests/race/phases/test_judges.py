"""The budget of the judges grows at the last round while they may gain from it, and no further."""

from pathlib import Path

import pytest
from rich.console import Console

from arena.answer.answer import answer_of
from arena.answer.runs import read_run
from arena.race.loop import carry_out
from arena.race.phases.judges import budgets
from arena.records.schema import ScoreRecord
from arena.records.store import read_records
from tests.building import arena_in

RACE = ("experiment=smoke", "logger=none", "access=none", "race.rounds=0", "judge.reals=null", "judge.multiples=[2,3]")
BANK = ("bank.train=300", "bank.validation=100", "bank.test=300", "bank.cell=100")


def judged(run: Path, *overrides: str) -> set[int | None]:
    """Budgets of the fresh judges on record."""
    race = arena_in(run, *RACE, *BANK, *overrides)
    assert budgets(race, 0) == ["320 images", "640 images", "960 images"]
    carry_out(race, Console(quiet=True))
    scored = [record for record in read_records(run) if isinstance(record, ScoreRecord)]
    return {record.judge_images for record in scored if record.regime == "fresh"}


@pytest.mark.slow
def test_judges_that_may_gain_get_more_and_the_verdict_reads_the_most(run: Path):
    assert judged(run, "generator=oracle") == {320, 640, 960}
    found = read_run(run)
    assert {record.judge_images for record in found.fresh("cnn").values()} == {960}


@pytest.mark.slow
def test_judges_that_are_shown_to_gain_nothing_get_no_more(run: Path):
    """A forest that sees a checkerboard of half the range at once."""
    forest_alone = [f"~detector@battery.members.{name}" for name in ("cnn", "dct", "spectrum")]
    planted = ("generator=planted", "generator.kind=checkerboard", "generator.amplitude=8")
    assert judged(run, "battery=small", *forest_alone, "~detector@battery.stack", *planted) == {320}
    assert answer_of([read_run(run)]).verdict.answer == "caught"
