import math

import numpy as np
import pytest
from matplotlib.axes import Axes

from arena.answer.verdict import read_verdict
from arena.figures.series import PlotPoint, Series, read_series
from arena.figures.timeline import OFFSET, timeline
from arena.records.schema import Regime, ScoreRecord
from arena.records.store import read_records
from tests.figures.drawable import drawable_run

DETECTOR_ROUND = {"frozen": lambda g: g - 1, "retrained": lambda g: g, "fresh": lambda g: g}


def drawn(axes: Axes, technique: str, regime: Regime) -> dict[int, float]:
    """What a panel shows of a regime: round -> AUC."""
    (line,) = [line for line in axes.lines if line.get_gid() == f"{technique}/{regime}"]
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    return {round(at - OFFSET[regime]): float(auc) for at, auc in zip(x, y, strict=True) if not math.isnan(auc)}


def test_every_technique_has_a_panel_that_says_whether_it_was_told(run):
    figure = timeline(read_series(run, read_records(run)), margin=0.05)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title] == ["cnn · told", "forest · not told", "stack · not told"]


@pytest.mark.parametrize("regime", ["frozen", "retrained", "fresh"])
def test_what_is_drawn_is_what_was_recorded(run, regime):
    records = read_records(run)
    figure = timeline(read_series(run, records), margin=0.05)
    for number, technique in enumerate(("cnn", "forest", "stack")):
        expected: dict[int, list[float]] = {}
        for record in records:
            if isinstance(record, ScoreRecord) and (record.technique, record.regime) == (technique, regime):
                g = record.generator_round
                if record.detector_round == DETECTOR_ROUND[regime](g):
                    expected.setdefault(g, []).append(record.auc)
        means = {g: float(np.mean(aucs)) for g, aucs in expected.items()}
        assert drawn(figure.axes[number], technique, regime) == pytest.approx(means)
        assert set(means) == ({1, 2} if regime == "frozen" else {0, 1, 2})


def test_the_last_fresh_point_is_the_verdicts(run):
    verdict = read_verdict(run)
    for its in read_series(run, read_records(run)):
        found = verdict.techniques[its.technique]
        point = its.at("fresh", verdict.round)
        assert found.low is not None
        assert found.high is not None
        assert point.auc == pytest.approx(found.auc)
        assert point.low <= found.low <= found.high <= point.high  # 2.5% a side encloses 5% a side
        assert len(point.seeds) == 3


def test_the_examination_of_one_generator_has_no_frozen_detector(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=0)
    figure = timeline(read_series(run, read_records(run)), margin=0.05)
    assert drawn(figure.axes[0], "cnn", "frozen") == {}
    assert set(drawn(figure.axes[0], "cnn", "fresh")) == {0}
    assert figure.axes[0].get_xticks().tolist() == [0]  # there is no round 0.15


def test_nothing_recorded_is_drawn_as_nothing():
    assert timeline([], margin=0.05).axes
    empty = Series("cnn", told=False, rounds=(0,), points={"frozen": {}, "retrained": {}, "fresh": {}})
    assert drawn(timeline([empty], margin=0.05).axes[0], "cnn", "fresh") == {}


def series_of(techniques: int, rounds: int, auc: float = 0.9) -> list[Series]:
    points: dict[Regime, dict[int, PlotPoint]] = {
        regime: {k: PlotPoint(auc, auc - 0.02, min(1.0, auc + 0.02), (auc,) * 3) for k in range(rounds)}
        for regime in OFFSET
    }
    return [Series(f"technique {k}", True, tuple(range(rounds)), points) for k in range(techniques)]


@pytest.mark.parametrize(("techniques", "rounds", "across"), [(5, 5, 3), (25, 5, 4), (4, 21, 2), (25, 21, 3)])
def test_a_timeline_fits_a_page_and_a_long_race_has_wide_panels(techniques, rounds, across):
    figure = timeline(series_of(techniques, rounds), margin=0.05)
    width, height = figure.get_size_inches()
    assert width == pytest.approx(7.35)
    assert height < 12.5
    assert len({axes.get_position().x0 for axes in figure.axes}) == across


@pytest.mark.parametrize("rounds", [1, 2, 21])
@pytest.mark.parametrize("auc", [0.02, 1.0])
def test_no_mark_is_cut_by_the_frame(rounds, auc):
    axes = timeline(series_of(1, rounds, auc), margin=0.05).axes[0]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for line in axes.lines:
        if line.get_gid() or line.get_marker() == "_":
            x, y = (np.asarray(values) for values in line.get_data())
            assert left + 0.1 < x.min() <= x.max() < right - 0.1
            assert bottom + 0.02 < y.min() <= y.max() < top - 0.02
