"""Training phases record the images really shown."""

from pathlib import Path

import pytest

import arena
from arena.config.schema import ScheduleConfig
from arena.race.phases.generator import SOURCES, respond, warm_up
from arena.records.schema import PhaseRecord, TrainingRecord
from arena.records.store import read_records
from tests.building import carry_out_phases, tiny_arena


@pytest.mark.parametrize(("budget", "batch", "shown"), [(20_000, 64, 19_968), (35_000, 64, 34_944), (128, 64, 128)])
def test_whole_batches_are_shown(budget, batch, shown):
    schedule = ScheduleConfig(warm_up_images=budget, response_images=budget, batch=batch)
    assert schedule.shown(budget) == shown


@pytest.mark.parametrize("pattern", SOURCES)
def test_every_source_of_a_warm_up_exists(pattern):
    assert list(Path(arena.__file__).parent.glob(pattern))


@pytest.mark.slow
def test_images_recorded_are_images_shown(run):
    budgets = ("schedule.warm_up_images=40", "schedule.response_images=25", "schedule.batch=16")
    race = tiny_arena(run, "race.rounds=1", "access=none", *budgets)
    carry_out_phases(race, (warm_up, 0, "generator"), (respond, 0, "generator"))
    records = read_records(run)
    phases = {each.phase: each.images for each in records if isinstance(each, PhaseRecord)}
    assert phases == {"warm_up": 32, "respond": 16}
    seen = [each.images_seen for each in records if isinstance(each, TrainingRecord)]
    assert seen[-1] == 32 + 16
