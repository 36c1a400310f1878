"""Where detectability levels off: the curve with the laws that fit it, beside its controls and the oracle's floor."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator

from arena.answer.limit.axes import Axis
from arena.answer.limit.curve import Curve
from arena.answer.limit.laws import Family, Saturation
from arena.answer.limit.limit import CurveLimit, Floor, TechniqueLimit
from arena.figures.axes import BAND, COLUMN, FAINT, INK, look

WIDTH = 1.4 * COLUMN
"""Inches a panel is wide."""
_PANEL, _LINE, _LETTERS = 1.95, 0.135, 62  # inches of a panel and of a line of words below it; letters a line


class CurveMark(NamedTuple):
    """How a curve is drawn, apart from its neighbours in colour, in grey and in shape."""

    label: str
    colour: str
    marker: str
    filled: bool
    shift: float


# Okabe & Ito (2008).
OWN = CurveMark("fresh judges", "#00324e", "o", True, 0.0)
CONTROLS = {
    "none": CurveMark("control: none", "#d55e00", "s", False, 0.13),
    "placebo": CurveMark("control: placebo", "#56b4e9", "^", False, -0.13),
}
_LAWS: dict[Family, Literal["-", "--"]] = {"exponential": "-", "power law": "--"}


def limit_by_round(found: Mapping[str, TechniqueLimit], margin: float) -> Figure:
    """AUC by round, one column for the stack and one for the strongest; below, what differs from each control.

    Args:
        found: the limits of one condition, by kind.
        margin: the verdict's e: the band from 1/2 - e to 1/2 + e is shaded.
    """
    # Where the stack is the strongest in every round, one column says both.
    columns = list({its.its.curve.techniques: its for its in found.values()}.values())
    controls = [name for name in CONTROLS if any(name in its.controls for its in columns)]
    above = [[(OWN, its.its), *((CONTROLS[name], its.controls[name].its) for name in its.controls)] for its in columns]
    below = [
        [(CONTROLS[name], each.difference) for name, each in its.controls.items() if each.difference is not None]
        for its in columns
    ]
    rows = [(above, "limit"), (below, "difference")][: 2 if any(below) else 1]
    words = [[_words(shown, what) for shown in row] for row, what in rows]
    heights = [height for lines in words for height in (_PANEL, _LINE * (1 + max(map(len, lines))))]
    with look():
        figure = Figure(figsize=(WIDTH * len(columns), sum(heights) + 0.6), layout="constrained")
        panels = figure.subplots(len(heights), len(columns), squeeze=False, height_ratios=heights)
        for row, (shown, what) in enumerate(rows):
            for column in range(len(columns)):
                _panel(panels[2 * row, column], shown[column], what)
                _say(panels[2 * row + 1, column], words[row][column])
        for axes, its in zip(panels[0], columns, strict=True):
            _chance(axes, its, margin)
            axes.set_title(_title(its))
        for axes in panels[2] if any(below) else ():
            axes.axhline(0.0, color=FAINT, linewidth=0.8, zorder=1)
        panels[0, 0].set_ylabel("AUC")
        if any(below):
            panels[2, 0].set_ylabel("AUC less the control's")
        _alike(panels[0])
        legend = _legend(margin, controls, any(its.floor for its in columns))
        figure.legend(handles=legend, loc="outside upper left", ncols=1 + len(columns), handlelength=2.6)
    return figure


def limit_by_resource(found: Sequence[Axis], margin: float) -> Figure:
    """AUC at the last round by resource, one panel an axis; the resource doubles from tick to tick.

    Args:
        found: the axes of a sweep, one or more.
        margin: the verdict's e.
    """
    words = [_words([(OWN, its.its)], "limit") for its in found]
    heights = [_PANEL, _LINE * (1 + max(map(len, words)))]
    with look():
        figure = Figure(figsize=(WIDTH * len(found), sum(heights) + 0.6), layout="constrained")
        panels = figure.subplots(2, len(found), squeeze=False, height_ratios=heights)
        for column, its in enumerate(found):
            axes = panels[0, column]
            _panel(axes, [(OWN, its.its)], "limit")
            _band(axes, margin)
            axes.xaxis.set_major_locator(FixedLocator([*its.its.curve.x, _beyond(its.its)]))
            axes.set_xticklabels([*map(_amount, its.resource), "∞"])
            axes.set_xlabel(f"{its.key} ({'the judges’' if its.whose == 'judge' else 'the generator’s'})")
            axes.set_title(its.kind)
            _say(panels[1, column], words[column])
        panels[0, 0].set_ylabel("AUC at the last round")
        _alike(panels[0])
        legend = _legend(margin, [], False)
        figure.legend(handles=legend, loc="outside upper left", ncols=min(3, 1 + len(found)), handlelength=2.6)
    return figure


def _panel(axes: Axes, shown: Sequence[tuple[CurveMark, CurveLimit]], what: str) -> None:
    """Points with 95% intervals; the laws with their band, and at the right margin the limit, where there is one."""
    for mark, its in shown:
        curve, face = its.curve, mark.colour if mark.filled else "white"
        x = curve.x + mark.shift
        half = 1.96 * curve.errors
        axes.vlines(x, curve.values - half, curve.values + half, color=mark.colour, linewidth=1.0, zorder=3)
        (line,) = axes.plot(x, curve.values, mark.marker, color=mark.colour, markerfacecolor=face, zorder=4)
        line.set_gid(f"{what}/{mark.label}")
        if its.limit is None:
            axes.plot(x, curve.values, color=mark.colour, linewidth=0.6, linestyle=":", zorder=2)
            continue
        if its.fit is None:
            axes.plot(x, curve.values, color=mark.colour, linewidth=0.6, linestyle=":", zorder=2)
        else:
            _laws(axes, its.curve, its.fit, mark.colour)
        end, limit = _beyond(its) + 2 * mark.shift, its.limit
        axes.vlines(end, limit.low, limit.high, color=mark.colour, linewidth=1.6, zorder=3)
        axes.plot([end, end], [limit.low, limit.high], "_", color=mark.colour, markersize=5.0, zorder=3)
        (dot,) = axes.plot(end, limit.asymptote, mark.marker, color=mark.colour, markerfacecolor=face, zorder=4)
        dot.set_markersize(3.0)
        dot.set_gid(f"{what}/{mark.label}/limit")
    if shown:
        _rounds(axes, shown[0][1])


def _laws(axes: Axes, curve: Curve, fit: Saturation, colour: str) -> None:
    fine = np.linspace(0.0, curve.x[-1] - curve.x[0] + 0.7, 120)
    low, high = fit.band(fine)
    axes.fill_between(fine + curve.x[0], low, high, color=colour, alpha=0.16, linewidth=0, zorder=1.5)
    for law in fit.laws:
        if not law.drops_out:
            style = _LAWS[law.family]
            axes.plot(fine + curve.x[0], law.at(fine), linestyle=style, color=colour, linewidth=0.9, zorder=2)


def _rounds(axes: Axes, its: CurveLimit) -> None:
    """Every round, and infinity at the right, set apart."""
    x, beyond = its.curve.x, _beyond(its)
    axes.axvspan(x[-1] + 0.7, beyond + 0.6, color="#f3f3f3", linewidth=0, zorder=0)
    axes.set_xlim(x[0] - 0.5, beyond + 0.6)
    step = max(1, round(len(x) / 10))
    axes.xaxis.set_major_locator(FixedLocator([*x[::step], beyond]))
    axes.set_xticklabels([*(f"{round_index:g}" for round_index in x[::step]), "∞"])
    axes.set_xlabel("round of the generator")


def _beyond(its: CurveLimit) -> float:
    """Where infinity is drawn."""
    return float(its.curve.x[-1]) + 1.3


def _chance(axes: Axes, its: TechniqueLimit, margin: float) -> None:
    _band(axes, margin)
    if its.floor is not None:
        _floor(axes, its.floor)


def _band(axes: Axes, margin: float) -> None:
    axes.axhspan(0.5 - margin, 0.5 + margin, color=BAND, linewidth=0, zorder=0.5)
    axes.axhline(0.5, color=FAINT, linewidth=0.8, zorder=1)


def _floor(axes: Axes, floor: Floor) -> None:
    """A bracket at the left edge, where it hides nothing, and a fine line through the panel."""
    left = axes.get_xlim()[0]
    axes.axhline(floor.auc, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    axes.vlines(left + 0.12, floor.low, floor.high, color=INK, linewidth=1.6, zorder=3)


def _words(shown: Sequence[tuple[CurveMark, CurveLimit]], what: str) -> list[str]:
    """The limits in words, or why there is none, line by line."""
    lines = []
    for mark, its in shown:
        name = what if mark is OWN else f"{what}, {mark.label.removeprefix('control: ')}"
        if its.limit is None:
            lines += textwrap.wrap(f"{name}: not identifiable: {its.reason}", _LETTERS, subsequent_indent="    ")
        else:
            sign = "+" if what == "difference" else ""
            ends = f"{its.limit.low:{sign}.3f} to {its.limit.high:{sign}.3f}"
            lines.append(f"{name}: {its.limit.asymptote:{sign}.3f} (95% CI {ends})")
    return lines


def _say(axes: Axes, lines: Sequence[str]) -> None:
    axes.set_axis_off()
    axes.text(0.0, 1.0, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=7.0, color=INK)


def _amount(resource: float) -> str:
    return f"{resource / 1000:g}k" if resource >= 1000 else f"{resource:g}"


def _title(its: TechniqueLimit) -> str:
    if its.kind in its.its.curve.techniques:
        return its.kind
    names = sorted(set(its.its.curve.techniques))
    return f"{its.kind} on validation: {', '.join(names)}" if len(names) <= 3 else f"{its.kind} on validation"


def _alike(panels: Sequence[Axes]) -> None:
    """One scale for panels side by side: down to 0.4 at least, up to 1."""
    low = min(axes.get_ylim()[0] for axes in panels)
    for axes in panels:
        axes.set_ylim(max(0.0, min(0.4, low)), 1.02)


def _legend(margin: float, controls: Sequence[str], floor: bool) -> list[Line2D | Patch]:
    marks = [OWN, *(CONTROLS[name] for name in controls)]
    handles: list[Line2D | Patch] = [
        Line2D(
            [],
            [],
            color=mark.colour,
            marker=mark.marker,
            linestyle="none",
            markerfacecolor=mark.colour if mark.filled else "white",
            label=mark.label,
        )
        for mark in marks
    ]
    handles += [
        Line2D([], [], color=INK, linewidth=0.9, linestyle=style, label=family) for family, style in _LAWS.items()
    ]
    handles.append(Patch(color=INK, alpha=0.16, linewidth=0, label="what they allow (95%)"))
    handles.append(Patch(color=BAND, label=f"chance, 1/2 ± {margin:g}"))
    if floor:
        handles.append(Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (1, 2)), label="oracle’s floor"))
    return handles
