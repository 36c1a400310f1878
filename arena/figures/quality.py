"""Quality against detectability: whether fakes evade because they are good, or because they break a guard."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, NullFormatter

from arena.answer.series import GuardName, Trajectory, TrajectoryPoint
from arena.config.schema import AnswerConfig
from arena.figures.axes import COLUMN, INK, PALE, bars, chance_band, look, separation_axis, within_axis
from arena.figures.marks import Mark, chance_key, key, legend, mark_of
from arena.metrics.interval import Interval

_HATCHED = {"facecolor": "none", "edgecolor": PALE, "hatch": "////", "linewidth": 0}
_CROSS: dict[str, Any] = {"marker": "X", "markersize": 5, "linestyle": "none"}
_CORNER = {"facecolor": "#c4c4c4", "edgecolor": INK, "linewidth": 1.0}


class GuardAxis(NamedTuple):
    """Abscissa of a panel: a guard's figure, its label, the limit, and whether the guard is broken above the limit."""

    guard: GuardName
    label: str
    limit: float
    above: bool

    def ends(self, values: Sequence[float]) -> tuple[float, float]:
        """Return the ends of an axis that holds every value, and enough on either side of the limit to be seen."""
        if self.guard == "quality":
            least = min((value for value in values if value > 0), default=self.limit)
            return min(least, self.limit / 10) / 2, max([4 * self.limit, *(2 * value for value in values)])
        if self.guard == "variety":
            return min([self.limit / 2, *values]) - 0.03, max([1.0, *values]) + 0.05
        return -self.limit / 2, max([3 * self.limit, *(1.05 * value for value in values)])


def _guard_axes(terms: AnswerConfig) -> tuple[GuardAxis, ...]:
    return (
        GuardAxis("quality", "kernel distance / that of noisy reals", terms.quality_limit, above=True),
        GuardAxis("variety", "recall or coverage / that of reals", terms.variety_limit, above=False),
        GuardAxis("memorisation", "near copies of training images", terms.copies_limit, above=True),
    )


def quality(trajectories: Sequence[Trajectory]) -> Figure:
    """Draw one panel a guard: AUC of the strongest technique over the guard's figure, a path over the rounds.

    The hatched side of a panel is where its guard is broken. A generator that passes ends in the framed corner of every
    panel, where the band of chance meets the values the guard allows. A path begins at a white mark and ends at an
    arrow, with the round beside each. Its judges are those that every round has. A cross is the last round by the
    judges that the verdict reads, where these are more or have a larger budget. Bars are 95% intervals of the AUC. Of
    several paths only the ends have bars.

    Args:
        trajectories: one or several, with at least one step among them. The limits are those of the first.
    """
    terms = trajectories[0].terms
    with look():
        keys = _keys(trajectories)
        figure = Figure(figsize=(3 * COLUMN, 2.5 + 0.17 * math.ceil(len(keys) / 2)), layout="constrained")
        panels = figure.subplots(1, 3, sharey=True)
        lowest = min((step.auc.low for trajectory in trajectories for step in trajectory.steps), default=0.4)
        for axes, guard in zip(panels, _guard_axes(terms), strict=True):
            _panel(axes, guard, trajectories, terms.margin)
        panels[0].set_ylabel("AUC, strongest technique")
        separation_axis(panels[0], lowest)
        legend(figure, keys, 2, 3.4)
    return figure


def _panel(axes: Axes, guard: GuardAxis, trajectories: Sequence[Trajectory], margin: float) -> None:
    paths = [path for trajectory in trajectories for path in (trajectory.steps, *trajectory.seeds)]
    values = [step.guarded[guard.guard] for path in paths for step in path]
    low, high = guard.ends([value for value in values if math.isfinite(value)])
    axes.set_title(guard.guard)
    axes.set_xlabel(guard.label)
    if guard.guard == "quality":
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(low, high)
    chance_band(axes, margin)
    broken, allowed = (
        ((guard.limit, high), (low, guard.limit)) if guard.above else ((low, guard.limit), (guard.limit, high))
    )
    axes.axvspan(*broken, **_HATCHED, zorder=0.5)
    axes.axvline(guard.limit, color=INK, linewidth=0.9, zorder=1)
    axes.add_patch(Rectangle((allowed[0], 0.5 - margin), allowed[1] - allowed[0], 2 * margin, **_CORNER, zorder=1.5))

    def at(path: Sequence[TrajectoryPoint]) -> tuple[list[float], list[float]]:
        """A value beyond the axis, such as an unbiased distance below zero, is drawn at its end."""
        x = [min(max(step.guarded[guard.guard], low), high) for step in path]
        return x, [within_axis(step.auc.value) for step in path]

    for number, trajectory in enumerate(trajectories):
        mark = mark_of(number)
        for path in trajectory.seeds:
            axes.plot(*at(path), color=mark.colour, linewidth=0.7, linestyle=mark.dashes, alpha=0.4, zorder=2)
        if trajectory.steps:
            _path(axes, trajectory, mark, *at(trajectory.steps), every=len(trajectories) == 1)
        if trajectory.decisive is not None:
            (x,), (y,) = at([trajectory.decisive])
            interval = Interval(*map(within_axis, trajectory.decisive.auc))
            bars(axes, [x], [interval], mark.colour, linewidth=0.7, zorder=2.5)
            axes.plot(x, y, color=mark.colour, zorder=4, **_CROSS)


def _path(axes: Axes, trajectory: Trajectory, mark: Mark, x: Sequence[float], y: Sequence[float], every: bool) -> None:
    barred = trajectory.steps if every else trajectory.steps[-1:]
    intervals = [Interval(*map(within_axis, step.auc)) for step in barred]
    bars(axes, x[-len(barred) :], intervals, mark.colour, linewidth=0.7, zorder=2.5)
    drawn: dict[str, Any] = {"color": mark.colour, "marker": mark.marker}
    axes.plot(x, y, linestyle=mark.dashes, markersize=3.5, zorder=3, **drawn)
    if len(x) > 1:
        axes.plot(x[:1], y[:1], linestyle="none", markersize=5, markerfacecolor="white", zorder=4, **drawn)
        arrow = {"arrowstyle": "-|>", "color": mark.colour, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9}
        axes.annotate("", (x[-1], y[-1]), (x[-2], y[-2]), arrowprops=arrow, zorder=4)
        for end, place in ((0, (4, 4)), (-1, (3, -8))):
            words = str(trajectory.steps[end].round)
            axes.annotate(words, (x[end], y[end]), place, textcoords="offset points", fontsize=6.5, zorder=5)


def _keys(trajectories: Sequence[Trajectory]) -> list[Artist]:
    keys: list[Artist] = []
    for number, trajectory in enumerate(trajectories):
        runs = f" ({len(trajectory.seeds)} runs, each faint)" if trajectory.seeds else ""
        keys.append(mark_of(number).line(label=f"{trajectory.name}{runs}"))
    if any(trajectory.decisive for trajectory in trajectories):
        keys.append(key("last round, by the judges of the verdict", color=INK, **_CROSS))
    keys.append(chance_key(trajectories[0].terms.margin))
    keys.append(Patch(label="these guards hold: ends here in every panel", **_CORNER))
    return [*keys, Patch(label="guard broken", **_HATCHED)]
