"""The ladder: whether generators of later years are harder to detect, and nearer to the reals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from arena.answer.answer import Answer
from arena.answer.conditions import Condition
from arena.answer.estimate import mean_interval
from arena.answer.series import MISSING
from arena.config.saved import section
from arena.config.schema import BAG, STACK
from arena.figures.axes import COLUMN, FAINT, INK, bars, chance_band, look, separation_axis, within_axis
from arena.figures.marks import chance_key, key, legend, mark_of
from arena.metrics.interval import Interval

YEARS: Mapping[str, int] = {
    "arena.generators.gan2014.Gan2014Generator": 2014,  # Goodfellow et al., NIPS
    "arena.generators.dcgan.DcganGenerator": 2016,  # Radford, Metz & Chintala, ICLR
    "arena.generators.style.StyleGenerator": 2020,  # Karras et al., CVPR (its styles are of 2019)
    "arena.generators.r3gan.R3ganGenerator": 2024,  # Huang et al., NeurIPS
}
"""Year of publication of each generator, by its ``_target_``."""
FEW = 6
"""Largest number of techniques drawn as curves of their own; of more only the strongest and the stack are drawn."""
STRONGEST = "strongest"
_APART = 1.6
"""Years between generators of one year, or of none."""
_RING = {"marker": "o", "linestyle": "none", "markersize": 9.0, "markerfacecolor": "none", "markeredgecolor": INK}
_RING |= {"markeredgewidth": 0.9, "zorder": 5}
_REALS = {"color": FAINT, "linestyle": "none", "marker": "_", "markersize": 13, "markeredgewidth": 1.6, "zorder": 2}


@dataclass(frozen=True)
class LadderEntry:
    """A condition on the ladder, at its last round.

    Args:
        name: of its generator.
        year: of its generator; None where ``YEARS`` does not list it, such as a folder of images.
        technique: the strongest, by validation; empty where no judge is fit.
        points: AUC with its 95% interval of every technique, and of ``strongest``.
        distance: kernel distance with its 95% interval (``mean_interval``).
        reals: kernel distance of reals from other reals, at equal n.
    """

    name: str
    year: int | None
    technique: str
    points: Mapping[str, Interval]
    distance: Interval
    reals: float


def ladder_entry(answer: Answer) -> LadderEntry:
    """Return the entry of a condition."""
    estimates = {finding.technique: finding.estimate for finding in answer.findings if finding.estimate is not None}
    points = {name: estimate.interval().clipped() for name, estimate in estimates.items()}
    technique = answer.strongest.technique if answer.strongest else ""
    if technique:
        points[STRONGEST] = points[technique]
    quality = [run.quality for run in answer.runs]
    distance = mean_interval([one.kernel_distance for one in quality], [one.kernel_distance_error for one in quality])
    reals = float(np.mean([one.real_kernel_distance for one in quality]))
    return LadderEntry(*generator_of(answer.condition), technique, points, distance, reals)


def generator_of(condition: Condition) -> tuple[str, int | None]:
    """Return the generator's name and year; one that ``YEARS`` does not list is named by its class and its path."""
    generator = section(condition.runs[0].config, "generator")
    target = str(generator.get("_target_"))
    *_, module, last = ("", *target.split("."))
    if (year := YEARS.get(target)) is not None:
        return module, year
    path = generator.get("path")
    name = last.lower().removesuffix("generator") or last.lower()
    return (f"{name} {Path(path).name}" if isinstance(path, str) else name), None


def ladder(entries: Sequence[LadderEntry], margin: float) -> Figure:
    """Draw AUC of fresh judges (left) and kernel distance (right) over the year of the generator, 95% intervals.

    A ring surrounds the strongest technique of a generator. Generators without a year stand apart at the right. The
    AUC is on an axis of equal separations, the distance on a logarithmic one.

    Args:
        entries: at least one, of generators trained and judged alike.
        margin: the verdict's e: the band from 1/2 - e to 1/2 + e is shaded.
    """
    entries = sorted(entries, key=lambda entry: (entry.year is None, entry.year or 0))
    x, names = _places(entries), _drawn(entries)
    with look():
        rows = math.ceil((len(names) + 3) / 3)
        figure = Figure(figsize=(3 * COLUMN, 2.4 + 0.17 * rows), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
        keys: list[Artist] = []
        for number, name in enumerate(names):
            beside = [place + 0.2 * (number - (len(names) - 1) / 2) for place in x]
            points = [Interval(*map(within_axis, entry.points.get(name, MISSING))) for entry in entries]
            keys.append(_curve(left, entries, beside, points, number, name))
            ringed = [k for k, entry in enumerate(entries) if entry.technique == name]
            left.plot([beside[k] for k in ringed], [points[k].value for k in ringed], **_RING)
        chance_band(left, margin)
        separation_axis(left, min((point.low for entry in entries for point in entry.points.values()), default=0.4))
        left.set_title("AUC of fresh judges")
        _distances(right, entries, x)
        for axes in (left, right):
            _label_generators(axes, entries, x)
        keys += [key("strongest by validation", **_RING), chance_key(margin)]
        keys.append(key("kernel distance of reals (foot: 0 or less)", **_REALS))
        legend(figure, keys, 3, 3.0)
    return figure


def _drawn(entries: Sequence[LadderEntry]) -> list[str]:
    """Return the techniques drawn, or with more than ``FEW`` the strongest; stack and bag over the stack come last."""
    names = list(dict.fromkeys(name for entry in entries for name in entry.points if name != STRONGEST))
    over = [name for name in (STACK, BAG) if name in names]
    under = [name for name in names if name not in over]
    return [*(under if len(names) <= FEW else [STRONGEST]), *over]


def _places(entries: Sequence[LadderEntry]) -> list[float]:
    """Return the abscissas: years, with generators of one year side by side, then those without a year."""
    years = [entry.year for entry in entries if entry.year is not None]
    places = [year + _APART * (years[:k].count(year) - (years.count(year) - 1) / 2) for k, year in enumerate(years)]
    return places + [max(places, default=0.0) + _APART * (k + 1.5) for k in range(len(entries) - len(years))]


def _curve(
    axes: Axes, entries: Sequence[LadderEntry], x: Sequence[float], points: Sequence[Interval], number: int, label: str
) -> Line2D:
    """Draw marks with their intervals, joined where the generators have years, and return their key."""
    mark = mark_of(number)
    known = sum(entry.year is not None for entry in entries)
    y = [point.value for point in points]
    bars(axes, x, points, mark.colour, zorder=2)
    axes.plot(x[:known], y[:known], color=mark.colour, linestyle=mark.dashes, linewidth=1.1, zorder=2)
    axes.plot(x, y, mark.marker, color=mark.colour, markersize=4, zorder=3)
    return mark.line(label=label)


def _distances(axes: Axes, entries: Sequence[LadderEntry], x: Sequence[float]) -> None:
    """Draw the distances; one of 0 or less, which an unbiased estimate may be, stands at the foot of the log axis."""
    ends = [end for entry in entries for end in (entry.distance.value, entry.distance.low, entry.reals)]
    foot = min((end for end in ends if end > 0), default=1.0) / 1.5
    raised = [Interval(*(max(value, foot) for value in entry.distance)) for entry in entries]
    axes.set_yscale("log")
    _curve(axes, entries, x, raised, 0, "kernel distance")
    axes.plot(x, [max(entry.reals, foot) for entry in entries], **_REALS)
    axes.set_ylim(foot / 1.2, None)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda distance, _: f"{distance:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title("kernel distance")


def _label_generators(axes: Axes, entries: Sequence[LadderEntry], x: Sequence[float]) -> None:
    labels = [entry.name if entry.year is None else f"{entry.name}\n{entry.year}" for entry in entries]
    axes.set_xticks(x, labels, fontsize=6.5)
    axes.set_xlim(min(x) - _APART / 2, max(x) + _APART / 2)
    known = [place for place, entry in zip(x, entries, strict=True) if entry.year is not None]
    if known and len(known) < len(x):
        axes.axvline(max(known) + 0.75 * _APART, color=FAINT, linewidth=0.8, linestyle=":", zorder=0.5)
