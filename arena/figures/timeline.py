"""The picture of the arms race: AUC of each technique over the rounds, in its three regimes."""

import math
from collections.abc import Sequence

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator

from arena.figures.axes import BAND, COLUMN, FAINT, INK, REGIMES, Stroke, look
from arena.figures.series import Series
from arena.records.schema import Regime

# Within a round, left to right, in the order of the race: confront, retrain, judge.
OFFSET: dict[Regime, float] = {"frozen": -0.18, "retrained": 0.0, "fresh": 0.18}
SEEDS = 0.25
"""Rounds right of the fresh judges' mean at which each seed stands."""
MANY, LONG = 12, 10
"""Techniques beyond which panels are small, to fit a page, and rounds beyond which they are wide."""
_SAW = (0, (3, 2))


def timeline(series: Sequence[Series], margin: float, columns: int = 3, panel: float = COLUMN) -> Figure:
    """One panel a technique: the generator's responses pull the frozen detector down, retraining lifts it again.

    Args:
        series: of one run.
        margin: the verdict's e: the band from 1/2 - e to 1/2 + e is shaded.
        columns: panels a row, for a race of few rounds and techniques: more of those are put one more in a row, more
            of these one less.
        panel: inches a panel is wide, where there are so many.
    """
    many, long = len(series) > MANY and panel >= COLUMN, max((len(its.rounds) for its in series), default=0) > LONG
    page, columns = panel * columns, max(1, columns + many - long)
    panel, columns = page / columns, max(1, min(columns, len(series)))
    rows = max(1, math.ceil(len(series) / columns))
    with look():
        if long:
            rcParams["lines.markersize"] *= 0.65
        legend, beside = _legend(margin), 1 if panel * columns < 2 * COLUMN else 2
        height = (1.25 if many else 1.6) * rows + 0.3 + 0.17 * math.ceil(len(legend) / beside)
        figure = Figure(figsize=(panel * columns, height), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for number, (axes, its) in enumerate(zip(panels, series, strict=False)):
            _panel(axes, its, margin)
            if number % columns == 0:
                axes.set_ylabel("AUC")
            if number >= len(series) - columns:
                axes.tick_params(labelbottom=True)
            if number >= columns * (rows - 1):
                axes.set_xlabel("round of the generator")
        for axes in panels[len(series) :]:
            axes.set_axis_off()
        _frame(panels[0], series)
        figure.legend(handles=legend, loc="outside upper left", ncols=beside, handlelength=2.8)
    return figure


def _panel(axes: Axes, series: Series, margin: float) -> None:
    axes.set_title(series.title, color=INK)
    axes.axhspan(0.5 - margin, 0.5 + margin, color=BAND, linewidth=0, zorder=0)
    axes.axhline(0.5, color=FAINT, linewidth=0.8, zorder=1)
    _sawtooth(axes, series)
    for regime, stroke in REGIMES.items():
        points = [series.at(regime, round_index) for round_index in series.rounds]
        x = [round_index + OFFSET[regime] for round_index in series.rounds]
        line = _line(stroke, x, [point.auc for point in points])
        line.set_gid(f"{series.technique}/{regime}")
        axes.add_line(line)
        if regime == "fresh":
            axes.vlines(x, [point.low for point in points], [point.high for point in points], color=stroke.colour)
            for left, point in zip(x, points, strict=True):
                seeds = [left + SEEDS] * len(point.seeds)
                size = 0.8 * line.get_markersize()
                axes.plot(seeds, point.seeds, "_", color=stroke.colour, markersize=size, markeredgewidth=0.7)


def _sawtooth(axes: Axes, series: Series) -> None:
    """The retrained detector of one round, the same before the next round's fakes, and retrained on those."""
    order: tuple[Regime, ...] = ("frozen", "retrained")
    path = [
        (round_index + OFFSET[regime], series.at(regime, round_index).auc)
        for round_index in series.rounds
        for regime in order
    ]
    known = [(x, auc) for x, auc in path if not math.isnan(auc)]
    axes.plot([x for x, _ in known], [auc for _, auc in known], color=FAINT, linewidth=0.9, linestyle=_SAW, zorder=2)


def _line(stroke: Stroke, x: Sequence[float], y: Sequence[float]) -> Line2D:
    return Line2D(
        x,
        y,
        color=stroke.colour,
        marker=stroke.marker,
        markerfacecolor=stroke.colour if stroke.filled else "white",
        linestyle="-" if stroke.joined else "none",
        label=stroke.label,
        zorder=4 if stroke.joined else 3,
    )


def _frame(axes: Axes, series: Sequence[Series]) -> None:
    """Shared by every panel: whole rounds, and AUC from the lowest there is (but no higher than 0.4) to 1."""
    rounds = sorted({round_index for its in series for round_index in its.rounds} or {0})
    lows = [point.low for its in series for regime in its.points.values() for point in regime.values()]
    around = 0.6 if len(rounds) > 1 else 1.5
    axes.set_xlim(rounds[0] - around, rounds[-1] + around)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8) if len(rounds) > 1 else FixedLocator(rounds))
    axes.set_ylim(min(0.4, min((low for low in lows if not math.isnan(low)), default=0.4) - 0.06), 1.06)


def _legend(margin: float) -> list[Line2D | Patch]:
    saw = Line2D([], [], color=FAINT, linewidth=0.9, linestyle=_SAW, label="down: it responds, up: they retrain")
    band = Patch(color=BAND, label=f"chance, 1/2 ± {margin:g}")
    return [*(_line(stroke, [], []) for stroke in REGIMES.values()), saw, band]
