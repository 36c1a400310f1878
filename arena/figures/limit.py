"""Limits of detectability: AUC by round with the laws fitted to it, beside controls, oracle and floor."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator

from arena.answer.axes import Axis
from arena.answer.curve import Curve
from arena.answer.laws import Family, Saturation
from arena.answer.limit import FittedCurve, TechniqueLimit
from arena.figures.axes import COLUMN, FAINT, INK, bars, chance_band, look
from arena.figures.marks import HIGHLIGHTS, Mark, chance_key, key, legend, mark_of
from arena.metrics.interval import Interval

WIDTH = 1.4 * COLUMN
"""Width of a panel in inches."""
_PANEL, _LINE, _LETTERS = 1.95, 0.135, 62
"""Height of a panel and of a line of text below it in inches, and letters a line."""

_LAWS: dict[Family, Literal["-", "--"]] = {"exponential": "-", "power law": "--"}
_LINES = {
    "oracle": {"color": INK, "linewidth": 0.8, "linestyle": (0, (1, 2))},
    "floor: resampled reals": {"color": INK, "linewidth": 0.8, "linestyle": (0, (6, 2, 1, 2))},
}
"""Horizontal lines of the controls that are judged once, by name."""
CONTROLS = {
    "none": (HIGHLIGHTS[1], 0.13),
    "other_reals": (HIGHLIGHTS[2]._replace(filled=False), -0.13),
    "equal_norm": (mark_of(1), -0.26),
    "random": (mark_of(2), 0.26),
    "none at equal compute": (HIGHLIGHTS[1]._replace(filled=True), 0.39),
}
"""Mark and shift of the controls that are part of the package."""


class Drawn(NamedTuple):
    """A curve of a panel with its name and mark, shifted sideways by some rounds to stand beside the others."""

    name: str
    mark: Mark
    shift: float
    fitted: FittedCurve


def limit_by_round(limits: Mapping[str, TechniqueLimit], margin: float) -> Figure:
    """Draw AUC by round, one column for the stack and one for the strongest; below, differences from each control.

    Args:
        limits: of one condition, by kind.
        margin: the verdict's e: the band from 1/2 - e to 1/2 + e is shaded.
    """
    # Where the stack is the strongest in every round, one column shows both.
    columns = list({limit.fitted.curve.techniques: limit for limit in limits.values()}.values())
    names = dict.fromkeys(name for limit in columns for name in limit.controls if name not in CONTROLS)
    marks = CONTROLS | {name: (mark_of(number), 0.52) for number, name in enumerate(names, 3)}
    curves, differences = [], []
    for limit in columns:
        control = {name: Drawn(f"control: {name}", *marks[name], each.fitted) for name, each in limit.controls.items()}
        curves.append([_own(limit.fitted), *control.values()])
        paired = {name: each.difference for name, each in limit.controls.items() if each.difference is not None}
        differences.append([control[name]._replace(fitted=difference) for name, difference in paired.items()])
    with look():
        figure, panels = _page({"limit": curves} | ({"difference": differences} if any(differences) else {}))
        for axes, limit in zip(panels[0], columns, strict=True):
            chance_band(axes, margin)
            # Their intervals stand at the left edge, where they cover nothing.
            for number, (name, auc) in enumerate(_once(limit).items(), 1):
                axes.axhline(auc.value, **_LINES[name], zorder=1)
                bars(axes, [axes.get_xlim()[0] + 0.12 * number], [auc], INK, linewidth=1.6)
            axes.set_title(_title(limit))
        panels[0][0].set_ylabel("AUC")
        if any(differences):
            for axes in panels[1]:
                axes.axhline(0.0, color=FAINT, linewidth=0.8, zorder=1)
            panels[1][0].set_ylabel("AUC less the control's")
        _share_scale(panels[0])
        once = [name for name in _LINES if any(name in _once(limit) for limit in columns)]
        legend(figure, _keys(curves, margin, once), 1 + len(columns), 2.6)
    return figure


def limit_by_resource(resources: Sequence[Axis], margin: float) -> Figure:
    """Draw AUC at the last round by resource, one panel an axis; the resource doubles from tick to tick.

    Args:
        resources: the axes of a sweep, one or more.
        margin: the verdict's e.
    """
    curves = [[_own(axis.fitted)] for axis in resources]
    with look():
        figure, (panels,) = _page({"limit": curves})
        for axes, axis in zip(panels, resources, strict=True):
            chance_band(axes, margin)
            axes.xaxis.set_major_locator(FixedLocator([*axis.fitted.curve.x, _infinity(axis.fitted.curve)]))
            amounts = (f"{value / 1000:g}k" if value >= 1000 else f"{value:g}" for value in axis.resource)
            axes.set_xticklabels([*amounts, "∞"])
            axes.set_xlabel(f"{axis.key} ({'the judges’' if axis.owner == 'judge' else 'the generator’s'})")
            axes.set_title(axis.kind)
        panels[0].set_ylabel("AUC at the last round")
        _share_scale(panels)
        legend(figure, _keys(curves, margin, []), min(3, 1 + len(resources)), 2.6)
    return figure


def _page(rows: Mapping[str, Sequence[Sequence[Drawn]]]) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    """Return a figure with rows of panels, each with its limits in words below, and the panels row by row."""
    texts = [[_in_words(curves, title) for curves in row] for title, row in rows.items()]
    heights = [height for row in texts for height in (_PANEL, _LINE * (1 + max(map(len, row))))]
    columns = len(texts[0])
    figure = Figure(figsize=(WIDTH * columns, sum(heights) + 0.6), layout="constrained")
    panels = figure.subplots(len(heights), columns, squeeze=False, height_ratios=heights)
    for number, row in enumerate(rows.values()):
        for column, curves in enumerate(row):
            _panel(panels[2 * number, column], curves)
            below = panels[2 * number + 1, column]
            below.set_axis_off()
            words = "\n".join(texts[number][column])
            below.text(0.0, 1.0, words, transform=below.transAxes, va="top", fontsize=7.0, color=INK)
    return figure, panels[::2].tolist()


def _once(limit: TechniqueLimit) -> dict[str, Interval]:
    """Return the AUC of each control that is judged once, where it was judged, by its name in the legend."""
    return {name: auc for name, auc in zip(_LINES, (limit.oracle, limit.floor), strict=True) if auc is not None}


def _own(fitted: FittedCurve) -> Drawn:
    return Drawn("fresh judges", HIGHLIGHTS[0], 0.0, fitted)


def _panel(axes: Axes, curves: Sequence[Drawn]) -> None:
    """Draw points with 95% intervals, the laws with their band, and at the right margin the limit, where known."""
    for _, mark, shift, fitted in curves:
        curve, x = fitted.curve, fitted.curve.x + shift
        half = 1.96 * curve.errors
        axes.vlines(x, curve.values - half, curve.values + half, color=mark.colour, linewidth=1.0, zorder=3)
        points = {"color": mark.colour, "markerfacecolor": mark.face, "zorder": 4}
        axes.plot(x, curve.values, mark.marker, **points)
        if fitted.limit is None or fitted.saturation is None:
            axes.plot(x, curve.values, color=mark.colour, linewidth=0.6, linestyle=":", zorder=2)
        else:
            _laws(axes, curve, fitted.saturation, mark.colour)
        if fitted.limit is not None:
            end, (asymptote, low, high) = _infinity(curve) + 2 * shift, fitted.limit
            axes.vlines(end, low, high, color=mark.colour, linewidth=1.6, zorder=3)
            axes.plot([end, end], [low, high], "_", color=mark.colour, markersize=5.0, zorder=3)
            axes.plot(end, asymptote, mark.marker, markersize=3.0, **points)
    if curves:
        _label_rounds(axes, curves[0].fitted.curve, max(0.6, 0.12 + 2 * max(each.shift for each in curves)))


def _laws(axes: Axes, curve: Curve, saturation: Saturation, colour: str) -> None:
    """Draw the laws from the first point fitted. Pinned points before it have none."""
    first = saturation.fitted[0]
    fine = np.linspace(0.0, curve.x[-1] - first + 0.7, 120)
    low, high = saturation.band(fine)
    axes.fill_between(fine + first, low, high, color=colour, alpha=0.16, linewidth=0, zorder=1.5)
    for law in saturation.laws:
        if not law.drops_out:
            style = _LAWS[law.family]
            axes.plot(fine + first, law.at(fine), linestyle=style, color=colour, linewidth=0.9, zorder=2)


def _label_rounds(axes: Axes, curve: Curve, beyond: float) -> None:
    """Label every round, and infinity at the right on a ground of its own, which reaches so far ``beyond`` it."""
    x, infinity = curve.x, _infinity(curve)
    axes.axvspan(x[-1] + 0.7, infinity + beyond, color="#f3f3f3", linewidth=0, zorder=0)
    axes.set_xlim(x[0] - 0.5, infinity + beyond)
    step = max(1, round(len(x) / 10))
    axes.xaxis.set_major_locator(FixedLocator([*x[::step], infinity]))
    axes.set_xticklabels([*(f"{round_index:g}" for round_index in x[::step]), "∞"])
    axes.set_xlabel("round of the generator")


def _infinity(curve: Curve) -> float:
    """Return the abscissa at which infinity is drawn."""
    return float(curve.x[-1]) + 1.3


def _in_words(curves: Sequence[Drawn], title: str) -> list[str]:
    """Return the lines of text that state each limit, or why there is none."""
    lines = []
    sign = "+" if title == "difference" else ""
    for name, _, _, fitted in curves:
        control = name.partition("control: ")[2]
        what = f"{title}, {control}" if control else title
        if fitted.limit is None:
            said = f"{what}: not identifiable: {fitted.reason}"
        else:
            asymptote, low, high = fitted.limit
            left_out = f", from x = {fitted.saturation.fitted[0]:g} on" if fitted.saturation and fitted.left_out else ""
            said = f"{what}: {asymptote:{sign}.3f} (95% CI {low:{sign}.3f} to {high:{sign}.3f}){left_out}"
        lines += textwrap.wrap(said, _LETTERS, subsequent_indent="    ")
    return lines


def _title(limit: TechniqueLimit) -> str:
    technique = limit.fitted.curve.techniques[-1]
    return limit.kind if limit.kind == technique else f"{limit.kind} on validation: {technique}"


def _share_scale(panels: Sequence[Axes]) -> None:
    """Give panels side by side one scale, from 0.4 or lower up to 1."""
    low = min(axes.get_ylim()[0] for axes in panels)
    for axes in panels:
        axes.set_ylim(max(0.0, min(0.4, low)), 1.02)


def _keys(curves: Sequence[Sequence[Drawn]], margin: float, lines: Sequence[str]) -> list[Artist]:
    marks = {name: mark for panel in curves for name, mark, _, _ in panel}
    keys: list[Artist] = [mark.line(label=name, linestyle="none") for name, mark in marks.items()]
    keys += [key(family, color=INK, linewidth=0.9, linestyle=style) for family, style in _LAWS.items()]
    keys += [Patch(color=INK, alpha=0.16, linewidth=0, label="laws allow (95%)"), chance_key(margin)]
    return [*keys, *(key(name, **_LINES[name]) for name in lines)]
