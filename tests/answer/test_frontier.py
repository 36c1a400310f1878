"""Detectability at equal kernel distance: interpolated along the control's rounds, never extrapolated."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.answer.frontier import at_equal_quality, enclosing, frontier
from arena.answer.runs import FinishedRun, read_run
from arena.records.schema import QualityRecord, ScoreRecord
from tests.answer.curved import resampled
from tests.synthetic import synthetic_run

POSITIVE = st.floats(1e-3, 10.0)


@given(st.lists(POSITIVE, min_size=2, max_size=6), POSITIVE)
def test_the_place_lies_between_two_successive_rounds(distances, wanted):
    rounds = dict(enumerate(distances))
    place = enclosing(wanted, rounds)
    if place is None:
        assert wanted < min(distances) or wanted > max(distances)
    else:
        before, share = place
        between = (1 - share) * math.log(rounds[before]) + share * math.log(rounds[before + 1])
        assert between == pytest.approx(math.log(wanted), abs=1e-9)
        assert -1e-9 <= share <= 1 + 1e-9


def test_the_last_rounds_that_enclose_it_and_none_without_a_logarithm():
    assert enclosing(0.03, {0: 0.08, 1: 0.01, 2: 0.05}) == (1, pytest.approx(math.log(3) / math.log(5)))
    assert enclosing(0.02, {0: 0.04, 1: -0.001}) is None
    assert enclosing(-0.01, {0: 0.04, 1: -0.02}) is None
    assert enclosing(0.02, {0: 0.02, 1: 0.02}) == (0, 0.0)


def measured(run: FinishedRun, distances: list[float], error: float = 0.0) -> FinishedRun:
    """The run with other kernel distances, one a round."""
    records = tuple(
        dataclasses.replace(
            record, kernel_distance=distances[record.round], kernel_distance_error=error * distances[record.round]
        )
        if isinstance(record, QualityRecord)
        else record
        for record in run.records
    )
    return dataclasses.replace(run, records=records, quality=[r for r in records if isinstance(r, QualityRecord)][-1])


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A run and its control, whose AUC falls in equal steps of separation from 0.9 to 0.8 over two rounds."""
    folder = tmp_path_factory.mktemp("frontier")
    few: dict[str, Any] = {"techniques": {"cnn": 0.8}, "start": 0.9, "rounds": 2, "n_real": 500, "n_fake": 500}
    return tuple(read_run(synthetic_run(folder / access, access=access, **few)) for access in ("white_box", "none"))


NAMES = {"cnn": ("cnn", "cnn")}


def test_a_run_on_the_frontier_of_its_control_does_not_differ(pair):
    """It ends at AUC 0.8 as the control does; the control is as good a round before the end, at 0.85."""
    run, control = measured(pair[0], [0.08, 0.06, 0.02]), measured(pair[1], [0.08, 0.04, 0.02])
    (same,) = at_equal_quality([(run, control)], NAMES)
    assert same.difference is not None
    assert same.difference.low < 0 < same.difference.high
    assert (same.pairs, same.compared) == (1, 1)


def test_less_caught_at_equal_quality_though_equal_at_equal_images(pair):
    run, control = measured(pair[0], [0.08, 0.06, 0.04]), measured(pair[1], [0.08, 0.04, 0.02])
    (found,) = at_equal_quality([(run, control)], NAMES)
    auc = {r: np.mean([judge.auc for judge in control.equal_judges["cnn", r].values()]) for r in range(3)}
    ours = np.mean([judge.auc for judge in run.equal_judges["cnn", 2].values()])
    assert found.difference is not None
    assert found.difference.value == pytest.approx(ours - auc[1])
    half = measured(pair[0], [0.08, 0.06, math.sqrt(0.04 * 0.02)])
    (between,) = at_equal_quality([(half, control)], NAMES)
    assert between.difference is not None
    assert between.difference.value == pytest.approx(ours - (auc[1] + auc[2]) / 2)


@pytest.mark.parametrize("distance", [0.01, 0.09, 0.0, -0.001])
def test_outside_the_range_of_the_control_there_is_no_common_quality(pair, distance):
    run, control = measured(pair[0], [0.08, 0.06, distance]), measured(pair[1], [0.08, 0.04, 0.02])
    (found,) = at_equal_quality([(run, control)], NAMES)
    assert found.difference is None
    assert (found.pairs, found.compared) == (0, 1)
    assert found.as_json() == {"technique": "cnn", "difference": None, "pairs": 0, "of": 1}


def test_errors_of_the_distances_widen_the_interval_and_stay_bounded(pair):
    def width(error: float) -> float:
        run, control = measured(pair[0], [0.08, 0.06, 0.03], error), measured(pair[1], [0.08, 0.04, 0.02], error)
        (found,) = at_equal_quality([(run, control)], NAMES)
        assert found.difference is not None
        return found.difference.high - found.difference.low

    assert width(0.0) < width(0.1) < width(0.5) < 0.4
    assert width(50.0) < 0.4


def test_points_have_the_judges_of_equal_budget(pair):
    run = pair[0]
    last = run.declared.last_round
    larger = tuple(
        dataclasses.replace(record, judge_images=2 * (record.judge_images or 0), auc=0.99)
        for record in run.records
        if isinstance(record, ScoreRecord) and record.regime == "fresh" and record.generator_round == last
    )
    grown = dataclasses.replace(run, records=(*run.records, *larger))
    assert frontier(grown)[last].auc == frontier(run)[last].auc
    assert [point.round for point in frontier(run)] == [0, 1, 2]
    assert all(math.isnan(point.images) for point in frontier(run))  # no training was recorded


def test_nothing_is_interpolated_where_the_control_begins_to_resample(pair):
    """The distance of the run lies between those of rounds 0 and 1 of the control."""
    run, control = measured(pair[0], [0.08, 0.04, 0.03]), measured(pair[1], [0.04, 0.02, 0.01])
    for rounds, pairs in (((), 1), ((1, 2), 0), ((0, 1, 2), 1)):
        (found,) = at_equal_quality([(run, resampled(control, rounds))], NAMES)
        assert found.pairs == pairs
