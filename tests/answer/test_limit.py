import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

from arena.answer.answer import answer_of, answers
from arena.answer.conditions import conditions, matched
from arena.answer.curve import Curve, curve, run_curve
from arena.answer.laws import saturation
from arena.answer.limit import fit_curve, less, limits_in_words
from arena.metrics.auc import influence
from arena.records.schema import ControlRecord, Scores
from tests.answer.curved import curved_run, resampled
from tests.answer.planted import planted

pytestmark = pytest.mark.slow

POINTS = 7


def limits(groups):
    """Condition -> its limits."""
    return {answer.condition.name: answer.limits for answer in answers(groups)}


END = {"white_box": 0.85, "none": 0.9}


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """A generator that is told and one that is not, both standing still."""
    folder = tmp_path_factory.mktemp("limit")
    return conditions(
        curved_run(folder, {"cnn": [end - 0.01] * POINTS, "stack": [end] * POINTS}, seed=seed, access=access)
        for access, end in END.items()
        for seed in (0, 1)
    )


@pytest.fixture(scope="module")
def found(groups):
    return limits(groups)


def test_every_condition_has_the_limits_of_the_stack_and_of_the_strongest(found):
    assert {name: list(kinds) for name, kinds in found.items()} == {
        "access=white_box": ["stack", "strongest"],
        "access=none": ["stack", "strongest"],
    }
    assert list(found["access=white_box"]["stack"].controls) == ["none"]
    assert found["access=none"]["stack"].controls == {}


@pytest.mark.parametrize(("name", "truth"), [("access=white_box", 0.85), ("access=none", 0.9)])
def test_the_limit_of_curves_that_stay_where_they_are(found, name, truth):
    its = found[name]["stack"].fitted
    assert its.reason == ""
    assert its.limit.low < truth < its.limit.high
    assert its.limit.value == pytest.approx(truth, abs=0.03)


def test_the_difference_from_the_control(found):
    control = found["access=white_box"]["stack"].controls["none"]
    assert control.fitted is found["access=none"]["stack"].fitted
    difference = control.difference
    assert difference.limit == less(found["access=white_box"]["stack"].fitted.limit, control.fitted.limit)
    assert difference.limit.low < -0.05 < difference.limit.high
    np.testing.assert_allclose(difference.curve.values, -0.05, atol=0.03)
    assert difference.curve.runs == 2


def test_the_interval_of_a_difference_holds_the_planted_one():
    rng = np.random.default_rng(3)
    held = []
    for number in range(150):
        pair = [
            planted(rng, kind, sd=0.006, rounds=9)
            for kind in (("power law", "flat") if number % 2 else ("flat", "near half"))
        ]
        fits = [fit_curve(Curve(each.x, each.y, each.covariance, ("stack",) * 9, 1)).limit for each in pair]
        if fits[0] is not None and fits[1] is not None:
            found = less(fits[0], fits[1])
            held.append(found.low <= pair[0].asymptote - pair[1].asymptote <= found.high)
    assert len(held) >= 50
    assert np.mean(held) >= 0.93


def test_a_difference_from_a_limit_that_is_not_identifiable_is_not_either(tmp_path):
    level, falling = [0.8] * POINTS, [0.95 - 0.03 * k for k in range(POINTS)]
    both = limits(
        conditions(
            curved_run(tmp_path, {"cnn": aucs, "stack": aucs}, access=access, n=1000)
            for access, aucs in (("white_box", level), ("none", falling))
        )
    )
    difference = both["access=white_box"]["stack"].controls["none"].difference
    assert difference is not None
    assert (difference.limit, difference.reason) == (None, "the control’s limit is not identifiable")


@pytest.mark.parametrize(("control", "expected"), [("oracle", 0.5), ("floor", 0.7)])
def test_oracle_and_floor_stand_beside_it_averaged_over_runs(found, groups, control, expected):
    beside = getattr(found["access=white_box"]["stack"], control)
    records = [
        record
        for run in groups[0].runs
        for record in run.of_kind(ControlRecord)
        if (record.control, record.technique) == (control, "stack")
    ]
    assert beside.value == pytest.approx(np.mean([record.found for record in records]))
    assert beside.low < expected < beside.high


def test_one_run_by_itself(groups):
    its = answer_of(groups[0].runs[:1]).limits["stack"]
    assert its.fitted.curve.runs == 1
    assert its.controls == {}
    limit = its.fitted.limit
    assert limit is not None
    assert limit.low < 0.85 < limit.high


def test_a_falling_curve_falls_to_its_limit(tmp_path):
    aucs = list(0.85 + 0.11 * np.exp(-1.5 * np.arange(9)))
    its = answer_of([curved_run(tmp_path, {"cnn": aucs, "stack": aucs}, n=1000)]).limits["stack"].fitted
    assert its.limit is not None
    assert its.limit.low < 0.85 < its.limit.high
    assert its.limit.value == pytest.approx(0.85, abs=0.02)


def test_rounds_next_to_one_are_left_out_and_the_words_say_which(tmp_path):
    aucs = [0.999, 0.99, *(0.8 + 0.1 * np.exp(-1.5 * np.arange(8)))]
    answer = answer_of([curved_run(tmp_path, {"cnn": aucs, "stack": aucs}, n=1000)])
    its = answer.limits["stack"]
    assert its.fitted.left_out == [0, 1]
    assert its.as_json()["rounds_left_out"] == [0, 1]
    (words, *_) = limits_in_words(answer.limits)
    assert "Left out, with an AUC next to 0 or 1: rounds 0 to 1." in words


def test_rounds_before_the_fakes_are_resampled_are_points_of_no_curve(tmp_path):
    level = [0.95] + [0.8] * (POINTS - 1)
    run = resampled(curved_run(tmp_path, {"cnn": level, "stack": level}), range(1, POINTS))
    (found,) = limits(conditions([run])).values()
    assert {kind: list(each.fitted.curve.x) for kind, each in found.items()} == {
        "stack": [*range(1, POINTS)],
        "strongest": [*range(1, POINTS)],
    }


def test_a_drift_next_to_one_has_no_limit_and_the_words_say_why(tmp_path):
    aucs = list(0.995 - 0.001 * np.arange(8))
    answer = answer_of([curved_run(tmp_path, {"cnn": aucs, "stack": aucs}, n=500)])
    assert answer.limits["stack"].fitted.limit is None
    (words, *_) = limits_in_words(answer.limits)
    assert "not identifiable (the last point is above 0.97" in words


def test_runs_that_do_not_pair_have_no_difference(groups):
    moved = [dataclasses.replace(run, seed=run.seed + 10) for run in groups[1].runs]
    assert matched(groups[0].runs, moved) == []
    lone = limits([groups[0], dataclasses.replace(groups[1], runs=tuple(moved))])
    assert lone["access=white_box"]["stack"].controls["none"].difference is None


def test_from_scores_to_limit_the_interval_holds_the_truth():
    """Of many runs of eight rounds, judged by three judges on the same reals, whose generator stands still."""
    rng = np.random.default_rng(0)
    truth, n = 0.8, 500
    fits = []
    for _ in range(30):
        reals = rng.normal(size=n)
        points = []
        for _ in range(8):
            image = np.sqrt(0.5) * np.concatenate([reals, rng.normal(size=n) + 2 * norm.ppf(truth)])
            points.append([influence(scored(image + np.sqrt(0.5) * rng.normal(size=2 * n))) for _ in range(3)])
        its = curve(range(8), [run_curve(points)], ["stack"] * 8)
        fits.append(saturation(its.x, its.values, its.covariance))
    held = [fit.asymptote.low <= truth <= fit.asymptote.high for fit in fits if fit.asymptote is not None]
    assert len(held) >= 20
    assert np.mean(held) >= 0.9


def scored(score):
    n = len(score) // 2
    ids = np.tile(np.arange(n), 2)
    label = np.repeat([0, 1], n).astype(np.uint8)
    return Scores(score.astype(np.float32), label, ids, np.zeros(2 * n, dtype=np.uint8), ids)
