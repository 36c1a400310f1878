"""Quality against detectability: whether fakes hide because they are good, or because they broke a guard."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, NullFormatter

from arena.answer.trajectory import Guarded, Trajectory, TrajectoryPoint
from arena.config.schema import AnswerConfig
from arena.figures.axes import BAND, COLUMN, FAINT, INK, Line, line, look, pinned, separation_axis


def quality(ways: Sequence[Trajectory]) -> Figure:
    """One panel a guard: AUC of the strongest technique over what the guard reads, a path over the rounds.

    The hatched side of a panel is where its guard is broken; what passes ends in the framed corner of every panel,
    where the band of chance meets what the guard allows. A path begins at a white mark and ends at an arrow, with the
    round beside each; bars are 95% intervals of the AUC, of several paths at their ends only.

    Args:
        ways: one or several, with at least one step among them; declared alike, else the first one's terms are drawn.
    """
    with look():
        legend = _legend(ways)
        figure = Figure(figsize=(3 * COLUMN, 2.5 + 0.17 * math.ceil(len(legend) / 2)), layout="constrained")
        panels = figure.subplots(1, 3, sharey=True)
        lowest = min((step.point.low for its in ways for step in its.steps), default=0.4)
        for axes, guarded in zip(panels, _guarded(ways[0].terms), strict=True):
            _panel(axes, guarded, ways, ways[0].terms.margin)
        panels[0].set_ylabel("AUC, strongest technique")
        separation_axis(panels[0], lowest)
        figure.legend(handles=legend, loc="outside upper left", ncols=2, handlelength=3.4)
    return figure


def _guarded(terms: AnswerConfig) -> tuple[Guarded, ...]:
    return (
        Guarded("quality", "kernel distance / that of blurred reals", terms.quality_limit, above=True),
        Guarded("variety", "recall or coverage / that of reals", terms.variety_limit, above=False),
        Guarded("memorisation", "nearer to training reals, lower end", terms.memorisation_limit, above=True),
    )


def _panel(axes: Axes, guarded: Guarded, ways: Sequence[Trajectory], margin: float) -> None:
    every = [step.guarded[guarded.guard] for its in ways for path in (its.steps, *its.seeds) for step in path]
    low, high = _range(guarded, [value for value in every if math.isfinite(value)])
    axes.set_title(guarded.guard, color=INK)
    axes.set_xlabel(guarded.label)
    if guarded.guard == "quality":
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(low, high)
    axes.axhspan(0.5 - margin, 0.5 + margin, color=BAND, linewidth=0, zorder=0)
    axes.axhline(0.5, color=FAINT, linewidth=0.8, zorder=1)
    broken = (guarded.limit, high) if guarded.above else (low, guarded.limit)
    axes.axvspan(*broken, **_HATCHED, zorder=0.5)
    axes.axvline(guarded.limit, color=INK, linewidth=0.9, zorder=1)
    left, right = (low, guarded.limit) if guarded.above else (guarded.limit, high)
    corner = Rectangle((left, 0.5 - margin), right - left, 2 * margin, **_CORNER, zorder=1.5)
    axes.add_patch(corner)
    for number, its in enumerate(ways):
        stroke = line(number)
        for path in its.seeds:
            x, y = _clipped(path, guarded, low, high)
            axes.plot(x, y, color=stroke.colour, linewidth=0.7, linestyle=stroke.dashes, alpha=0.4, zorder=2)
        if its.steps:
            _path(axes, its, stroke, *_clipped(its.steps, guarded, low, high), every=len(ways) == 1)


def _path(axes: Axes, its: Trajectory, stroke: Line, x: Sequence[float], y: Sequence[float], every: bool) -> None:
    lows, highs = ([pinned(getattr(step.point, end)) for step in its.steps] for end in ("low", "high"))
    first = 0 if every else -1
    axes.vlines(x[first:], lows[first:], highs[first:], color=stroke.colour, linewidth=0.7, zorder=2.5)
    (drawn,) = axes.plot(
        x, y, color=stroke.colour, linestyle=stroke.dashes, marker=stroke.marker, markersize=3.5, zorder=3
    )
    drawn.set_gid(its.name)
    if len(x) > 1:
        axes.plot(x[:1], y[:1], stroke.marker, color=stroke.colour, markersize=5, markerfacecolor="white", zorder=4)
        arrow = {"arrowstyle": "-|>", "color": stroke.colour, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9}
        axes.annotate("", (x[-1], y[-1]), (x[-2], y[-2]), arrowprops=arrow, zorder=4)
        for end, place in ((0, (4, 4)), (-1, (3, -8))):
            words = str(its.steps[end].round)
            axes.annotate(words, (x[end], y[end]), place, textcoords="offset points", fontsize=6.5, zorder=5)


def _clipped(
    path: Sequence[TrajectoryPoint], guarded: Guarded, low: float, high: float
) -> tuple[list[float], list[float]]:
    """Where a path runs; what lies beyond the axis, such as an unbiased distance below zero, is drawn at its end."""
    x = [min(max(step.guarded[guarded.guard], low), high) for step in path]
    return x, [pinned(step.point.auc) for step in path]


def _range(guarded: Guarded, values: Sequence[float]) -> tuple[float, float]:
    """An axis with every value on it, and enough of either side of the limit to be seen."""
    if guarded.guard == "quality":
        least = min((value for value in values if value > 0), default=guarded.limit)
        return min(least, guarded.limit / 10) / 2, max([4 * guarded.limit, *(2 * value for value in values)])
    if guarded.guard == "variety":
        return min([guarded.limit / 2, *values]) - 0.03, max([1.0, *values]) + 0.05
    return min([0.4, *values]) - 0.03, max([guarded.limit + 0.1, *values]) + 0.03


_HATCHED = {"facecolor": "none", "edgecolor": "#b4b4b4", "hatch": "////", "linewidth": 0}
_CORNER = {"facecolor": "#c4c4c4", "edgecolor": INK, "linewidth": 1.0}


def _legend(ways: Sequence[Trajectory]) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = []
    for number, its in enumerate(ways):
        colour, marker, dashes = line(number)
        label = f"{its.name} ({len(its.seeds)} runs, each faint)" if its.seeds else its.name
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle=dashes, label=label))
    return [
        *handles,
        Patch(label=f"chance, 1/2 ± {ways[0].terms.margin:g}", color=BAND),
        Patch(label="what passes ends here in every panel", **_CORNER),
        Patch(label="guard broken", **_HATCHED),
    ]
