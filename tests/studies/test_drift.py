"""Curves of known limit in the calibration study."""

import dataclasses

import pytest

from arena.studies.calibration.drift import CURVES, found_limits, limits_table

pytestmark = pytest.mark.slow

PINNED = [known for known in CURVES if known.limit is None]
LEVEL = next(known for known in CURVES if known.name == "flat at 0.80")


@pytest.mark.parametrize("known", PINNED, ids=lambda known: known.name)
def test_a_curve_pinned_next_to_one_gets_no_number(known):
    assert found_limits(known, trials=6).numbers.count == 0


def test_a_level_curve_gets_its_own_and_a_wrong_expectation_is_seen():
    numbers, holding = found_limits(LEVEL, trials=12)
    assert numbers.count >= 9
    assert holding.count >= numbers.count - 2
    assert found_limits(dataclasses.replace(LEVEL, limit=0.6), trials=12).holding.count == 0


def test_every_expectation_holds_in_few_trials_too():
    assert {row[-1] for row in limits_table(trials=4)[1:]} == {"yes"}
