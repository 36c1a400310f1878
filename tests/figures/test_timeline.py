import math

import numpy as np
import pytest
from matplotlib.axes import Axes

from arena.answer.answer import read_answer
from arena.answer.series import Series, read_series
from arena.figures.marks import REGIMES
from arena.figures.timeline import OFFSET, timeline
from arena.metrics.interval import Interval
from arena.records.schema import Regime, ScoreRecord
from arena.records.store import read_records
from tests.figures.drawable import curves, drawable_run

DETECTOR_ROUND = {"frozen": lambda g: g - 1, "retrained": lambda g: g, "fresh": lambda g: g}


def drawn(axes: Axes, regime: Regime) -> dict[int, float]:
    """Round -> AUC, as a panel shows them of a regime."""
    ((x, y),) = curves(axes, REGIMES[regime])
    return {round(at - OFFSET[regime]): float(auc) for at, auc in zip(x, y, strict=True) if not math.isnan(auc)}


@pytest.fixture(scope="module")
def figure(run):
    return timeline(read_series(run, read_records(run)), margin=0.05)


def test_every_technique_has_a_panel_that_names_the_access_to_it(figure):
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title] == ["cnn · gradients", "forest · no access", "stack · no access"]


@pytest.mark.parametrize("regime", ["frozen", "retrained", "fresh"])
def test_the_curves_drawn_are_those_recorded(run, figure, regime):
    for axes, technique in zip(figure.axes, ("cnn", "forest", "stack"), strict=True):
        expected: dict[int, list[float]] = {}
        for record in read_records(run):
            if isinstance(record, ScoreRecord) and (record.technique, record.regime) == (technique, regime):
                g = record.generator_round
                if record.detector_round == DETECTOR_ROUND[regime](g):
                    expected.setdefault(g, []).append(record.auc)
        means = {g: float(np.mean(aucs)) for g, aucs in expected.items()}
        assert drawn(axes, regime) == pytest.approx(means)
        assert set(means) == ({1, 2} if regime == "frozen" else {0, 1, 2})


def test_the_last_fresh_point_is_the_verdicts(run):
    verdict = read_answer(run).verdict
    for series in read_series(run, read_records(run)):
        test = verdict.techniques[series.technique]
        auc = series.at("fresh", verdict.round)
        assert test.low is not None
        assert test.high is not None
        assert auc.value == pytest.approx(test.auc)
        assert auc.low <= test.low <= test.high <= auc.high  # 2.5% a side encloses 5% a side
        assert len(series.seeds[verdict.round]) == 3


def test_the_examination_of_one_generator_has_no_frozen_detector(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=0)
    figure = timeline(read_series(run, read_records(run)), margin=0.05)
    assert drawn(figure.axes[0], "frozen") == {}
    assert set(drawn(figure.axes[0], "fresh")) == {0}
    assert figure.axes[0].get_xticks().tolist() == [0]  # there is no round 0.15


def test_nothing_recorded_is_drawn_as_nothing():
    assert timeline([], margin=0.05).axes
    empty = Series("cnn", access="none", rounds=(0,), points={"frozen": {}, "retrained": {}, "fresh": {}}, seeds={})
    assert drawn(timeline([empty], margin=0.05).axes[0], "fresh") == {}


def series_of(techniques: int, rounds: int, auc: float = 0.9) -> list[Series]:
    points: dict[Regime, dict[int, Interval]] = {
        regime: {k: Interval(auc, auc - 0.02, min(1.0, auc + 0.02)) for k in range(rounds)} for regime in OFFSET
    }
    seeds = dict.fromkeys(range(rounds), (auc,) * 3)
    return [Series(f"technique {k}", "gradients", tuple(range(rounds)), points, seeds) for k in range(techniques)]


@pytest.mark.slow
@pytest.mark.parametrize(("techniques", "rounds", "across"), [(5, 5, 3), (25, 5, 4), (4, 21, 2), (25, 21, 3)])
def test_many_techniques_have_small_panels_and_a_long_race_wide_ones(techniques, rounds, across):
    figure = timeline(series_of(techniques, rounds), margin=0.05)
    figure.draw_without_rendering()
    assert len({round(axes.get_position().x0, 2) for axes in figure.axes}) == across


@pytest.mark.parametrize("rounds", [1, 2, 21])
@pytest.mark.parametrize("auc", [0.02, 1.0])
def test_no_mark_is_cut_by_the_frame(rounds, auc):
    axes = timeline(series_of(1, rounds, auc), margin=0.05).axes[0]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for line in axes.lines:
        if line.get_marker() in ("_", "o", "s", "^"):
            x, y = (np.asarray(values) for values in line.get_data())
            assert left + 0.1 < x.min() <= x.max() < right - 0.1
            assert bottom + 0.02 < y.min() <= y.max() < top - 0.02
