"""What detection withstands, measured where it is pinned and nowhere else."""

from pathlib import Path

from rich.console import Console

from arena.core.progress import Progress
from arena.imaging.ladders import LADDERS, THRESHOLD
from arena.race.phases.forge import forge
from arena.race.phases.judge import judge
from arena.race.phases.margin import margin, strongest_on_validation
from arena.race.runner import PhaseRunner
from arena.records.schema import MarginRecord
from arena.records.store import read_records, read_scores
from tests.building import arena_in

SMALL = ("experiment=smoke", "logger=none", "access=none", "race.rounds=0", "judge.reals=null", "battery=small")
BUDGET = ("battery.images=512", "judge.images=512", "battery.batch=32", "battery.members.forest.trees=10")


def measured(run: Path, *overrides: str) -> list[MarginRecord]:
    race = arena_in(run, *SMALL, *BUDGET, *overrides)
    with Progress(Console(quiet=True), [], 0.0) as progress:
        director = PhaseRunner(race, progress)
        director(forge)
        director(judge, 0, "seed 0")
        director(margin, 0, "noise")
    return [record for record in read_records(run) if isinstance(record, MarginRecord)]


def test_a_pinned_detection_is_bisected_for_the_noise_that_ends_it(run: Path):
    found = measured(run, "generator=planted", "generator.kind=checkerboard", "generator.amplitude=2")
    strongest = strongest_on_validation(read_records(run), 0)
    assert strongest is not None
    assert strongest[1] > 0.99
    aucs = {record.level: record.auc for record in found if record.technique == strongest[0]}
    ladder = LADDERS["noise"].levels
    assert len(aucs) == 3  # of seven rungs
    assert set(aucs) <= set(ladder)
    fallen = [level for level in aucs if aucs[level] < THRESHOLD]
    held = [level for level in aucs if aucs[level] >= THRESHOLD]
    assert max(held, default=0) < min(fallen, default=999)
    assert fallen, "noise of half the range hides a checkerboard of two levels of seventeen"
    techniques = {record.technique for record in found}
    assert techniques == {"cnn", "dct", "spectrum", "forest", "stack"}  # all judge every rung
    assert len(found) == 3 * len(techniques)
    scores = read_scores(run, found[0].scores)
    assert (scores.label == 0).sum() == 539


def test_where_the_auc_says_enough_nothing_is_degraded(run: Path):
    assert measured(run, "generator=oracle") == []
