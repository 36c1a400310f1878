"""Margins are measured where the AUC is above 0.99 on validation, and nowhere else."""

from pathlib import Path

import pytest

from arena.answer.findings import strongest
from arena.core.degradations import LADDERS, THRESHOLD
from arena.race.phases.fakes import forge
from arena.race.phases.judges import judge, margin, validation_aucs
from arena.records.schema import MarginRecord
from arena.records.store import read_records, read_scores
from tests.building import arena_in, carry_out_phases

SMALL = ("experiment=smoke", "logger=none", "access=none", "race.rounds=0", "judge.reals=null", "battery=small")
BUDGET = ("battery.images=512", "judge.images=512", "battery.batch=32", "battery.members.forest.trees=10")


def measured(run: Path, *overrides: str) -> list[MarginRecord]:
    race = arena_in(run, *SMALL, *BUDGET, *overrides)
    carry_out_phases(race, (forge, 0, "generator"), (judge, 0, "512 images"), (margin, 0, "noise"))
    return [record for record in read_records(run) if isinstance(record, MarginRecord)]


@pytest.mark.slow
def test_a_bisection_finds_the_noise_that_ends_a_clear_detection(run: Path):
    records = measured(run, "generator=planted", "generator.kind=checkerboard", "generator.amplitude=2")
    best = strongest(validation_aucs(read_records(run), 0, 512))
    assert best is not None
    assert best[1] > 0.99
    aucs = {record.level: record.auc for record in records if record.technique == best[0]}
    ladder = LADDERS["noise"].levels
    assert len(aucs) == 3  # of seven levels
    assert set(aucs) <= set(ladder)
    fallen = [level for level in aucs if aucs[level] < THRESHOLD]
    held = [level for level in aucs if aucs[level] >= THRESHOLD]
    assert max(held, default=0) < min(fallen, default=999)
    assert fallen, "noise of half the range hides a checkerboard of two levels of seventeen"
    techniques = {record.technique for record in records}
    assert techniques == {"cnn", "dct", "spectrum", "forest", "stack"}  # all judge every level
    assert len(records) == 3 * len(techniques)
    scores = read_scores(run, records[0].scores)
    assert (scores.label == 0).sum() == round(0.48 * 0.8 * 5620)  # the judge's part of the open reals


@pytest.mark.slow
def test_nothing_is_degraded_below_an_auc_near_one(run: Path):
    assert measured(run, "generator=oracle") == []
