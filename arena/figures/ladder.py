"""The ladder: are generators of later years harder to tell from reals, and do they come nearer to them?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter
from scipy.stats import t

from arena.answer.findings import findings
from arena.answer.runs import Condition
from arena.answer.verdict import strongest_technique
from arena.config.saved import section
from arena.config.schema import BAG, STACK
from arena.figures.axes import BAND, COLUMN, FAINT, INK, line, look, pinned, separation_axis
from arena.figures.series import MISSING, PlotPoint, point_of

YEARS: Mapping[str, int] = {
    "arena.generators.gan2014.Gan2014Generator": 2014,  # Goodfellow et al., NIPS
    "arena.generators.dcgan.DcganGenerator": 2016,  # Radford, Metz & Chintala, ICLR
    "arena.generators.style.StyleGenerator": 2020,  # Karras et al., CVPR (its styles are of 2019)
    "arena.generators.r3gan.R3ganGenerator": 2024,  # Huang et al., NeurIPS
}
"""The year in which what a generator implements was published, by its ``_target_``."""
FEW = 6
"""Techniques that are still told apart as lines of their own; of more only the strongest and the stack are drawn."""
STRONGEST = "strongest"
_APART = 1.6
"""Years that rungs of one year, or of none, stand apart."""


@dataclass(frozen=True)
class LadderEntry:
    """A condition as a rung of the ladder, at its last round.

    Args:
        name: of its generator.
        year: of its generator; None where ``YEARS`` does not know it, as of a folder of images.
        technique: the strongest, by validation; empty where no judge is fit.
        points: AUC with its 95% interval of every technique, and of ``strongest``.
        distance: kernel distance with its 95% interval: two standard errors of one run, else t over the runs.
        reals: what reals are from each other at equal n.
    """

    name: str
    year: int | None
    technique: str
    points: Mapping[str, PlotPoint]
    distance: PlotPoint
    reals: float


def ladder_entry(condition: Condition) -> LadderEntry:
    """Read a condition.

    Raises:
        ArenaError: if its generator cannot be told from its config, or the scores of a judge are missing or altered.
    """
    runs = condition.runs
    found = findings(runs)
    estimates = {its.technique: its.estimate for its in found if its.estimate is not None}
    points = {name: point_of(its) for name, its in estimates.items()}
    fit = [its.technique for its in found if its.finding != "unfit" and its.technique in estimates]
    chosen = strongest_technique(runs, fit)
    if chosen is not None:
        points[STRONGEST] = points[chosen[0]]
    distances = [run.quality.kernel_distance for run in runs]
    mean = float(np.mean(distances))
    error = 2 * runs[0].quality.kernel_distance_error
    if len(runs) > 1:
        error = float(t.isf(0.025, len(runs) - 1) * np.std(distances, ddof=1) / math.sqrt(len(runs)))
    name, year = generator_of(condition)
    reals = float(np.mean([run.quality.real_kernel_distance for run in runs]))
    return LadderEntry(
        name, year, chosen[0] if chosen else "", points, PlotPoint(mean, mean - error, mean + error), reals
    )


def generator_of(condition: Condition) -> tuple[str, int | None]:
    """Name and year of its generator; one that ``YEARS`` does not know is called by its last name and by its path.

    Raises:
        ArenaError: if the config names no generator.
    """
    generator = section(condition.runs[0].config, "generator")
    *_, module, last = ("", *str(generator.get("_target_")).split("."))
    if (year := YEARS.get(str(generator.get("_target_")))) is not None:
        return module, year
    path = generator.get("path")
    return (f"{last.lower()} {Path(path).name}" if isinstance(path, str) else last.lower()), None


def ladder(rungs: Sequence[LadderEntry], margin: float) -> Figure:
    """Left AUC of fresh judges, right kernel distance, both over the year of the generator, with 95% intervals.

    A ring is around the strongest technique of a rung. Generators without a year stand on their own at the right. The
    AUC is on an axis of equal separations, the distance on a logarithmic one.

    Args:
        rungs: at least one, of generators trained and judged alike.
        margin: the verdict's e: the band from 1/2 - e to 1/2 + e is shaded.
    """
    rungs = sorted(rungs, key=lambda its: (its.year is None, its.year or 0))
    x, names = _places(rungs), _drawn(rungs)
    with look():
        rows = math.ceil((len(names) + 3) / 3)
        figure = Figure(figsize=(3 * COLUMN, 2.4 + 0.17 * rows), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
        handles: list[Artist] = []
        for number, name in enumerate(names):
            beside = [place + 0.2 * (number - (len(names) - 1) / 2) for place in x]
            points = [its.points.get(name, MISSING) for its in rungs]
            points = [PlotPoint(pinned(its.auc), pinned(its.low), pinned(its.high)) for its in points]
            handles.append(_line(left, rungs, beside, points, number, name))
            ringed = [k for k, its in enumerate(rungs) if its.technique == name]
            left.plot([beside[k] for k in ringed], [points[k].auc for k in ringed], "o", **_RING)
        left.axhspan(0.5 - margin, 0.5 + margin, color=BAND, linewidth=0, zorder=0)
        left.axhline(0.5, color=FAINT, linewidth=0.8, zorder=1)
        separation_axis(left, min((its.points[name].low for its in rungs for name in its.points), default=0.4))
        left.set_title("AUC of fresh judges", color=INK)
        reals = _distances(right, rungs, x)
        for axes in (left, right):
            _generators(axes, rungs, x)
        ring = Line2D([], [], linestyle="none", marker="o", label="strongest by validation", **_RING)
        chance = Patch(color=BAND, label=f"chance, 1/2 ± {margin:g}")
        figure.legend(handles=[*handles, ring, chance, reals], loc="outside upper left", ncols=3, handlelength=3.0)
    return figure


_RING = {"markersize": 9.0, "markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 0.9, "zorder": 5}


def _drawn(rungs: Sequence[LadderEntry]) -> list[str]:
    """Techniques, or of more than ``FEW`` the strongest; the stack over them, and a bag over the stack, last."""
    names = list(dict.fromkeys(name for its in rungs for name in its.points if name != STRONGEST))
    over = [name for name in (STACK, BAG) if name in names]
    under = [name for name in names if name not in over]
    return [*(under if len(names) <= FEW else [STRONGEST]), *over]


def _places(rungs: Sequence[LadderEntry]) -> list[float]:
    """Their years, several rungs of one year side by side; then, apart, those without one."""
    years = [its.year for its in rungs if its.year is not None]
    places = [year + _APART * (years[:k].count(year) - (years.count(year) - 1) / 2) for k, year in enumerate(years)]
    return places + [max(places, default=0.0) + _APART * (k + 1.5) for k in range(len(rungs) - len(years))]


def _line(
    axes: Axes, rungs: Sequence[LadderEntry], x: Sequence[float], points: Sequence[PlotPoint], number: int, label: str
) -> Line2D:
    """Marks with their intervals, joined where the generators have years."""
    colour, marker, dashes = line(number)
    known = sum(its.year is not None for its in rungs)
    y = [point.auc for point in points]
    axes.vlines(x, [point.low for point in points], [point.high for point in points], color=colour, linewidth=0.9)
    axes.plot(x[:known], y[:known], color=colour, linestyle=dashes, linewidth=1.1, zorder=2)
    (marks,) = axes.plot(x, y, marker, color=colour, markersize=4, zorder=3)
    marks.set_gid(label)
    return Line2D([], [], color=colour, marker=marker, linestyle=dashes, label=label)


def _distances(axes: Axes, rungs: Sequence[LadderEntry], x: Sequence[float]) -> Line2D:
    """An unbiased distance of good fakes may be 0 or less, where a logarithmic axis has no place: that is its foot."""
    ends = [value for its in rungs for value in (its.distance.auc, its.distance.low, its.reals) if value > 0]
    foot = min(ends, default=1.0) / 1.5
    found = [(its.distance.auc, its.distance.low, its.distance.high) for its in rungs]
    raised = [PlotPoint(max(value, foot), max(low, foot), max(high, foot)) for value, low, high in found]
    axes.set_yscale("log")
    _line(axes, rungs, x, raised, 0, "kernel distance")
    axes.plot(x, [max(its.reals, foot) for its in rungs], **_REALS)
    axes.set_ylim(foot / 1.2, None)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda distance, _: f"{distance:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title("kernel distance", color=INK)
    return Line2D([], [], label="kernel distance of reals (foot: 0 or less)", **_REALS)


_REALS = {"color": FAINT, "linestyle": "none", "marker": "_", "markersize": 13, "markeredgewidth": 1.6, "zorder": 2}


def _generators(axes: Axes, rungs: Sequence[LadderEntry], x: Sequence[float]) -> None:
    words = [its.name if its.year is None else f"{its.name}\n{its.year}" for its in rungs]
    axes.set_xticks(x, words)
    axes.set_xlim(min(x) - _APART / 2, max(x) + _APART / 2)
    known = [place for place, its in zip(x, rungs, strict=True) if its.year is not None]
    if known and len(known) < len(x):
        axes.axvline(max(known) + 0.75 * _APART, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
