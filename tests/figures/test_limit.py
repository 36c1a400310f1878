import dataclasses

import numpy as np
import pytest

from arena.answer.limit.axes import Axis
from arena.answer.limit.curve import Curve
from arena.answer.limit.limit import ControlLimit, CurveLimit, Floor, TechniqueLimit, fitted, less
from arena.figures.axes import png
from arena.figures.limit import limit_by_resource, limit_by_round


def curve_to(limit, rounds=8, rate=1.5, technique="stack"):
    x = np.arange(float(rounds))
    return fitted(
        Curve(x, limit + (0.99 - limit) * np.exp(-rate * x), 0.004**2 * np.eye(rounds), (technique,) * rounds, 3)
    )


def difference(ours, theirs):
    its = Curve(ours.curve.x, ours.curve.values - theirs.curve.values, 2 * ours.curve.covariance, ("stack",) * 8, 3)
    if ours.limit is None or theirs.limit is None:
        return CurveLimit(its, None, "the control’s limit is not", None)
    return CurveLimit(its, less(ours.limit, theirs.limit), "", None)


OWN, NONE, SLOW = curve_to(0.7), curve_to(0.85), curve_to(0.6, rate=0.1)
FOUND = {
    kind: TechniqueLimit(
        kind,
        OWN if kind == "stack" else curve_to(0.7, technique="cnn"),
        Floor(0.5, 0.46, 0.54),
        {"none": ControlLimit(NONE, difference(OWN, NONE)), "placebo": ControlLimit(SLOW, difference(OWN, SLOW))},
    )
    for kind in ("stack", "strongest")
}


@pytest.fixture(scope="module")
def figure():
    return limit_by_round(FOUND, 0.05)


def drawn(axes, gid):
    (line,) = [line for line in axes.lines if line.get_gid() == gid]
    return np.asarray(line.get_ydata())


def words(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_points_and_limits_drawn_are_those_found(figure):
    panel, below = figure.axes[0], figure.axes[4]
    np.testing.assert_array_equal(drawn(panel, "limit/fresh judges"), OWN.curve.values)
    np.testing.assert_array_equal(drawn(panel, "limit/control: none"), NONE.curve.values)
    assert OWN.limit is not None
    assert drawn(panel, "limit/fresh judges/limit") == pytest.approx(OWN.limit.asymptote)
    np.testing.assert_allclose(drawn(below, "difference/control: none"), OWN.curve.values - NONE.curve.values)
    assert drawn(below, "difference/control: none/limit") == pytest.approx(-0.15, abs=0.01)


def test_where_the_stack_is_always_strongest_one_column_says_both(figure):
    alike = {kind: dataclasses.replace(FOUND["stack"], kind=kind) for kind in FOUND}
    assert 2 * len(limit_by_round(alike, 0.05).axes) == len(figure.axes)


def test_what_is_not_identifiable_has_no_limit_drawn_and_says_why(figure):
    panel, below = figure.axes[0], figure.axes[4]
    drawn(panel, "limit/control: placebo")
    for axes in (panel, below):
        assert not [line for line in axes.lines if (line.get_gid() or "").endswith("placebo/limit")]
    said = " ".join(" ".join(words(figure)).split())
    assert "limit, placebo: not identifiable: still falling" in said
    assert "difference, placebo: not identifiable: the control’s limit is not" in said


def test_the_numbers_are_written_under_their_panel(figure):
    assert OWN.limit is not None
    limit = OWN.limit
    assert f"limit: {limit.asymptote:.3f} (95% CI {limit.low:.3f} to {limit.high:.3f})" in words(figure)[0]


def test_the_last_tick_is_infinity(figure):
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [*"01234567", "∞"]


def test_without_controls_there_is_one_row():
    alone = {"stack": dataclasses.replace(FOUND["stack"], controls={}, floor=None)}
    figure = limit_by_round(alone, 0.05)
    assert len(figure.axes) == 2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "oracle’s floor" not in labels
    assert not any(label.startswith("control") for label in labels)


def test_along_a_resource_the_ticks_are_its_amounts():
    amounts = tuple(500.0 * 2**k for k in range(8))
    axis = Axis("judge.images", "judge", ("",) * 8, amounts, "stack", OWN)
    figure = limit_by_resource([axis], 0.05)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["500", "1k", "2k", "4k", "8k", "16k", "32k", "64k", "∞"]
    assert figure.axes[0].get_xlabel() == "judge.images (the judges’)"


def test_equal_limits_are_equal_bytes():
    assert png(limit_by_round(FOUND, 0.05)) == png(limit_by_round(FOUND, 0.05))
