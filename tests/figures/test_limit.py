import dataclasses

import numpy as np
import pytest

from arena.answer.axes import Axis
from arena.answer.curve import Curve
from arena.answer.laws import auc_of, separation
from arena.answer.limit import ControlLimit, FittedCurve, TechniqueLimit, fit_curve, less
from arena.figures.limit import CONTROLS, limit_by_resource, limit_by_round
from arena.figures.marks import HIGHLIGHTS, mark_of
from arena.metrics.interval import Interval
from tests.figures.drawable import curves, keys, words

JUDGES, (NONE, _), (OTHER_REALS, _) = HIGHLIGHTS[0], CONTROLS["none"], CONTROLS["other_reals"]


def curve_to(limit, rounds=8, rate=1.5, technique="stack"):
    x = np.arange(float(rounds))
    start, end = separation(np.array([0.96, limit]))
    values = auc_of(end + (start - end) * np.exp(-rate * x))
    return fit_curve(Curve(x, values, 0.004**2 * np.eye(rounds), (technique,) * rounds, 3))


def difference(ours, theirs):
    values = ours.curve.values - theirs.curve.values
    curve = Curve(ours.curve.x, values, 2 * ours.curve.covariance, ("stack",) * 8, 3)
    if ours.limit is None or theirs.limit is None:
        return FittedCurve(curve, None, "the control’s limit is not", None)
    return FittedCurve(curve, less(ours.limit, theirs.limit), "", None)


OWN, LONGER, SLOW = curve_to(0.7), curve_to(0.85), curve_to(0.6, rate=0.1)
FOUND = {
    kind: TechniqueLimit(
        kind,
        OWN if kind == "stack" else curve_to(0.7, technique="cnn"),
        Interval(0.5, 0.46, 0.54),
        Interval(0.65, 0.63, 0.67),
        {
            "none": ControlLimit(LONGER, difference(OWN, LONGER)),
            "other_reals": ControlLimit(SLOW, difference(OWN, SLOW)),
        },
    )
    for kind in ("stack", "strongest")
}


@pytest.fixture(scope="module")
def figure():
    return limit_by_round(FOUND, 0.05)


def test_the_points_and_limits_drawn_are_those_measured(figure):
    panel, below = figure.axes[0], figure.axes[4]
    (_, points), (_, limit) = curves(panel, JUDGES)
    np.testing.assert_array_equal(points, OWN.curve.values)
    assert OWN.limit is not None
    assert limit == pytest.approx(OWN.limit.value)
    np.testing.assert_array_equal(curves(panel, NONE)[0][1], LONGER.curve.values)
    (_, points), (_, limit) = curves(below, NONE)
    np.testing.assert_allclose(points, OWN.curve.values - LONGER.curve.values)
    assert limit == pytest.approx(-0.15, abs=0.01)


def test_where_the_stack_is_always_strongest_one_column_says_both(figure):
    alike = {kind: dataclasses.replace(FOUND["stack"], kind=kind) for kind in FOUND}
    assert 2 * len(limit_by_round(alike, 0.05).axes) == len(figure.axes)


def test_a_limit_that_is_not_identifiable_is_not_drawn_and_the_text_says_why(figure):
    for axes in (figure.axes[0], figure.axes[4]):
        assert len(curves(axes, OTHER_REALS)) == 1
    text = " ".join(" ".join(line for axes in figure.axes for line in words(axes)).split())
    assert "limit, other_reals: not identifiable: still falling" in text
    assert "difference, other_reals: not identifiable: the control’s limit is not" in text


def test_the_numbers_are_written_under_their_panel(figure):
    assert OWN.limit is not None
    asymptote, low, high = OWN.limit
    assert f"limit: {asymptote:.3f} (95% CI {low:.3f} to {high:.3f})" in words(figure.axes[2])[0]


def test_a_control_of_another_name_has_a_mark_of_its_own():
    controls = {**FOUND["stack"].controls, "mine": ControlLimit(LONGER, None)}
    figure = limit_by_round({"stack": dataclasses.replace(FOUND["stack"], controls=controls)}, 0.05)
    assert "control: mine" in keys(figure)
    mark = mark_of(3)
    assert len(curves(figure.axes[0], mark)) == 2
    assert (mark.colour, mark.marker) not in {(one.colour, one.marker) for one in (JUDGES, NONE, OTHER_REALS)}


def test_no_two_controls_have_one_mark():
    assert len({mark for mark, _ in CONTROLS.values()} | {JUDGES}) == len(CONTROLS) + 1


def test_the_laws_begin_at_the_first_round_that_is_not_pinned():
    x = np.arange(9.0)
    values = np.append([0.999, 0.98], OWN.curve.values[:7])
    fitted = fit_curve(Curve(x, values, 0.004**2 * np.eye(9), ("stack",) * 9, 3))
    alone = dataclasses.replace(FOUND["stack"], fitted=fitted, controls={}, oracle=None, floor=None)
    figure = limit_by_round({"stack": alone}, 0.05)
    drawn = [np.asarray(line.get_xdata(), float) for line in figure.axes[0].lines]
    assert {x[0] for x in drawn if len(x) > 20} == {2.0}
    assert "from x = 2 on" in " ".join(words(figure.axes[1]))


def test_the_last_tick_is_infinity(figure):
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [*"01234567", "∞"]


def test_oracle_and_floor_are_lines_with_keys(figure):
    level = {float(y[0]) for line in figure.axes[0].lines if len({*(y := np.asarray(line.get_ydata(), float))}) == 1}
    assert {0.5, 0.65} <= level
    assert {"oracle", "floor: resampled reals"} <= set(keys(figure))


def test_without_controls_there_is_one_row():
    alone = {"stack": dataclasses.replace(FOUND["stack"], controls={}, oracle=None, floor=None)}
    figure = limit_by_round(alone, 0.05)
    assert len(figure.axes) == 2
    assert not any(label.startswith(("control", "oracle", "floor")) for label in keys(figure))


def test_along_a_resource_the_ticks_are_its_amounts():
    amounts = tuple(500.0 * 2**k for k in range(8))
    axis = Axis("judge.images", "judge", amounts, "stack", OWN)
    figure = limit_by_resource([axis], 0.05)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["500", "1k", "2k", "4k", "8k", "16k", "32k", "64k", "∞"]
    assert figure.axes[0].get_xlabel() == "judge.images (the judges’)"
