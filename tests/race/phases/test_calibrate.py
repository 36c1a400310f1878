"""Controls without an expected outcome: the race's own fakes, as few as the oracle's, and resampled reals."""

from pathlib import Path

import numpy as np
import pytest

from arena.core.progress import Progress
from arena.race.phases.calibrate import calibrate, judge_equal_n
from arena.race.phases.fakes import forge
from arena.race.phases.generator import warm_up
from arena.race.race import Race
from arena.records.schema import ControlRecord
from arena.records.store import read_records
from tests.building import carry_out_phases, tiny_arena

pytestmark = pytest.mark.slow


def test_as_few_fakes_as_the_oracles_are_judged(run: Path):
    race = tiny_arena(run, "access=none", "race.rounds=0", "bank.train=900", "bank.test=1500", generator="dcgan")
    carry_out_phases(race, (warm_up, 0, "generator"), (calibrate, 0, "oracle"), (forge, 0, "generator"))
    records = judge_equal_n(race, 0, Progress()).records
    controls = [record for record in records if isinstance(record, ControlRecord)]
    assert [record.technique for record in controls] == race.techniques
    assert {(record.control, record.holds) for record in controls} == {("equal_n", None)}
    oracle, own = (np.load(run / "scores" / f"dct_{control}_j0.npz") for control in ("oracle", "equal_n"))
    assert (own["label"] == 1).sum() == (oracle["label"] == 1).sum() < race.bank.test
    assert sorted(own["image"][own["label"] == 0]) == sorted(oracle["image"][oracle["label"] == 0])


def test_the_last_round_alone_has_them(finished: Race):
    found = [record for record in read_records(finished.run) if isinstance(record, ControlRecord)]
    few = [record for record in found if record.control == "equal_n"]
    assert [(record.round, record.technique) for record in few] == [
        (finished.rounds, technique) for technique in finished.techniques
    ]


def test_the_floor_is_judged_by_the_whole_battery_on_banks_as_large_as_the_races(finished: Race):
    found = [record for record in read_records(finished.run) if isinstance(record, ControlRecord)]
    floor = [record for record in found if record.control == "floor"]
    assert [(record.round, record.technique) for record in floor] == [(0, name) for name in finished.techniques]
    assert {record.holds for record in floor} == {None}
    scores = np.load(finished.run / "scores" / "dct_floor_j0.npz")
    assert (scores["label"] == 1).sum() == finished.bank.test
    assert sorted(scores["image"][scores["label"] == 0]) == sorted(finished.judge_reals.ids)
