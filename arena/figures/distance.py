"""Distance between reals and fakes: images of one source judged together, and images that are degraded."""

from collections.abc import Iterable, Sequence
from typing import Any, get_args

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, NullLocator

from arena.answer.bags import SURE, BagCurve, ImageCount
from arena.answer.distance import Distance, LevelTried, Margin, position
from arena.answer.verdict import Verdict
from arena.config.schema import STACK
from arena.core.degradations import THRESHOLD, Degradation
from arena.figures.axes import COLUMN, FAINT, INK, NARROW, PALE, bars, grid_of, look, panel_grid
from arena.figures.marks import HIGHLIGHTS, Mark, key, legend
from arena.metrics.interval import Interval

WIDEST = 4096
"""Largest number of images on the axis."""
TOP = 0.9995
"""Height at which a share of 1 is drawn, under an arrow."""
_TICKS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
_DASHED = (0, (4, 2))
_DIAMOND = {"marker": "D", "markersize": 4.0, "markerfacecolor": "white"}
_TITLES: dict[Degradation, str] = {
    "noise": "noise: s.d. in grey levels of 255",
    "blur": "blur: s.d. in pixels",
    "jpeg": "JPEG: quality",
    "downscale": "downscaling: factor of the side",
}
_THRESHOLD = {"color": FAINT, "linestyle": _DASHED, "linewidth": 0.9}
_GREY = {"color": PALE, "linewidth": 0.8}
_PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.75}
_WORDS: dict[str, Any] = {"fontsize": 7.5, "weight": "bold", "zorder": 6, "bbox": _PLATE}


def highlighted(verdict: Verdict) -> list[str]:
    """Return the techniques of a verdict, most wanted first: the strongest, the stack, then by AUC."""
    by_auc = sorted(verdict.techniques, key=lambda name: -(verdict.techniques[name].auc or 0.0))
    first = [] if verdict.strongest is None else [verdict.strongest.technique]
    return list(dict.fromkeys([*first, STACK, *by_auc]))


def _in_full_and_grey(
    distances: Sequence[Distance], names: Sequence[str]
) -> tuple[list[tuple[Distance, Mark]], list[Distance]]:
    """Split distances into those drawn in full, by the order of the names, and those drawn in grey."""
    by_name = {distance.technique: distance for distance in distances}
    chosen = [name for name in dict.fromkeys(names) if name in by_name]
    full = [(by_name.pop(name), mark) for name, mark in zip(chosen, HIGHLIGHTS, strict=False)]
    return full, list(by_name.values())


def _key_of_grey(grey: Sequence[Distance]) -> list[Artist]:
    return [key("other techniques", **_GREY)] if grey else []


# --- images of one source judged together -----------------------------------------------------------------------------


def bags(distances: Sequence[Distance], names: Sequence[str], narrow: bool = False) -> Figure:
    """Draw the share of right decisions and the AUC by number of images judged together, with 95% intervals.

    The share is drawn by the logarithm of the share of errors, so that 99% stands clear of 1. Dashed is Chernoff's
    bound. A dotted line leads down from the smallest bag measured to be 99% right, a diamond marks it for the bound.

    Args:
        distances: of the techniques of a run; those without a bag curve are left out.
        names: the techniques drawn in full, such as the strongest and the stack; the others are thin and grey.
        narrow: draw it for a narrow window.
    """
    curves = {distance.technique: distance.bags for distance in distances if distance.bags is not None}
    full, grey = _in_full_and_grey([distance for distance in distances if distance.bags is not None], names)
    widest = _widest(curves.values(), [distance for distance, _ in full])
    with look():
        figure = Figure(figsize=(2 * (NARROW if narrow else 1.45 * COLUMN), 2.9), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        for distance in grey:
            measured = curves[distance.technique].bags
            n = [bag.n for bag in measured]
            left.plot(n, [_height(bag.right.value) for bag in measured], **_GREY, zorder=1)
            right.plot(n, [bag.auc.value for bag in measured], **_GREY, zorder=1)
        keys: list[Artist] = []
        for number, (distance, mark) in enumerate(full):
            _draw_bags(left, right, curves[distance.technique], mark, 1.0 + 0.05 * number, widest)
            _read_off_images(left, distance, mark)
            keys.append(mark.line(label=_numbers(distance)))
        _frame(left, right, widest)
        bound = {"color": INK, "linestyle": _DASHED, "linewidth": 1.0} | _DIAMOND
        keys += [key("at least (Chernoff's bound), 99%", **bound), *_key_of_grey(grey)]
        legend(figure, keys, 1 if narrow else 2, 2.6)
    return figure


def _draw_bags(left: Axes, right: Axes, curve: BagCurve, mark: Mark, aside: float, widest: int) -> None:
    n = [aside * bag.n for bag in curve.bags]
    for axes, points in (
        (left, [Interval(*map(_height, bag.right)) for bag in curve.bags]),
        (right, [bag.auc for bag in curve.bags]),
    ):
        axes.add_line(mark.line(n, [point.value for point in points], zorder=4))
        bars(axes, n, points, mark.colour)
    none_wrong = [x for x, bag in zip(n, curve.bags, strict=True) if bag.right.value >= TOP]
    left.plot(none_wrong, [_height(1.0) + 0.1] * len(none_wrong), "^", color=mark.colour, markersize=2.5, clip_on=False)
    many = [float(k) for k in np.geomspace(1, widest, 400) if curve.bound(k) < TOP]
    heights = [_height(curve.bound(k)) for k in many]
    left.plot(many, heights, color=mark.colour, linestyle=_DASHED, linewidth=1.0)


def _read_off_images(axes: Axes, distance: Distance, mark: Mark) -> None:
    if distance.images is None:
        return
    measured, chernoff = distance.images.measured.n, distance.images.chernoff.n
    if measured is not None:
        axes.plot([measured] * 2, [_height(0.0), _height(SURE)], color=mark.colour, linewidth=0.9, linestyle=":")
    if chernoff is not None and chernoff <= WIDEST:
        axes.plot([chernoff], [_height(SURE)], color=mark.colour, linestyle="none", zorder=5, **_DIAMOND)


def _numbers(distance: Distance) -> str:
    """Return a label such as "cnn: 8 (6 or more) for 99%; Chernoff: 13 (11 to 16)"."""
    if distance.images is None:
        return distance.technique
    measured, chernoff = distance.images.measured, distance.images.chernoff
    first = f"more than {distance.images.most}" if measured.n is None else _count(measured)
    return f"{distance.technique}: {first} for 99%; Chernoff: {'-' if chernoff.n is None else _count(chernoff)}"


def _count(count: ImageCount) -> str:
    if count.low == count.n == count.high:
        return f"{count.n:,}"
    return f"{count.n:,} ({count.low:,} {'or more' if count.high is None else f'to {count.high:,}'})"


def _frame(left: Axes, right: Axes, widest: int) -> None:
    left.set_xscale("log", base=2)
    left.set_xlim(0.85, widest * 1.2)
    ticks = [1 << k for k in range(widest.bit_length())]
    for axes in (left, right):
        axes.xaxis.set_major_locator(FixedLocator(ticks[:: 1 if len(ticks) <= 8 else 2]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        axes.set_xlabel("images from one source")
    left.set_title("share of right decisions")
    left.axhline(_height(SURE), color=FAINT, linewidth=0.8, zorder=0)
    left.yaxis.set_major_locator(FixedLocator([_height(tick) for tick in _TICKS]))
    left.yaxis.set_major_formatter(FixedFormatter([f"{100 * tick:g}%" for tick in _TICKS]))
    left.set_ylim(_height(0.38), _height(1.0) + 0.15)
    right.set_title("AUC")
    right.axhline(0.5, color=FAINT, linewidth=0.8, zorder=0)
    right.set_ylim(0.44, 1.02)


def _height(share: float) -> float:
    """Return the height of a share of right decisions: minus the decimal logarithm of the share of wrong ones."""
    return float(-np.log10(1.0 - min(share, TOP)))


def _widest(curves: Iterable[BagCurve], full: Sequence[Distance]) -> int:
    """Return the end of the axis, a power of two past the largest bag and, up to ``WIDEST``, Chernoff's number."""
    reach = [bag.n for curve in curves for bag in curve.bags]
    reach += [distance.images.chernoff.n or 1 for distance in full if distance.images is not None]
    return 1 << int(np.ceil(np.log2(max([2, *(min(n, WIDEST) for n in reach)]))))


# --- images that are degraded -----------------------------------------------------------------------------------------


def margin_curves(distances: Sequence[Distance], names: Sequence[str], narrow: bool = False) -> Figure:
    """Draw AUC of fresh judges as reals and fakes alike are degraded, one panel a degradation; 95% intervals.

    A panel leads from undegraded images on the left to the harshest level. Where a technique's curve falls to the
    threshold, its level is read off with the interval below.

    Args:
        distances: of the techniques of a run; those never degraded are left out.
        names: the techniques drawn in full, such as the strongest and the stack; the others are thin and grey.
        narrow: draw it for a narrow window.
    """
    kinds = [kind for kind in get_args(Degradation) if any(kind in distance.margins for distance in distances)]
    full, grey = _in_full_and_grey(distances, names)
    rows, columns = grid_of(len(kinds), 1 if narrow else 2)
    with look():
        size = (2 * NARROW if narrow else 1.3 * COLUMN) * columns, 2.2 * rows + 0.35
        figure = Figure(figsize=size, layout="constrained")
        panels = panel_grid(figure, len(kinds), columns, sharey=True)
        for number, (axes, kind) in enumerate(zip(panels, kinds, strict=False)):
            known = [(distance, mark) for distance, mark in full if kind in distance.margins]
            _panel(axes, kind, known, [distance.margins[kind] for distance in grey if kind in distance.margins])
            if number % columns == 0:
                axes.set_ylabel("AUC")
        panels[0].set_ylim(0.42, 1.03)
        keys: list[Artist] = [mark.line(label=distance.technique) for distance, mark in full]
        keys += [*_key_of_grey(grey), key(f"AUC {THRESHOLD:g}", **_THRESHOLD)]
        legend(figure, keys, len(keys) if columns > 1 else 2, 2.4)
    return figure


def _panel(axes: Axes, kind: Degradation, full: Sequence[tuple[Distance, Mark]], grey: Sequence[Margin]) -> None:
    every = [*(distance.margins[kind] for distance, _ in full), *grey]
    levels = {tried.level for margin in every for tried in margin.tried[1:]}
    levels = sorted(levels, key=lambda level: position(kind, level))
    places = [position(kind, level) for level in levels]
    step = max((places[-1] - places[0]) / max(1, len(places) - 1), 1e-3)
    start = places[0] - step  # the undegraded image has no place on a logarithmic scale

    def at(tried: Sequence[LevelTried]) -> list[float]:
        return [start, *(position(kind, level.level) for level in tried[1:])]

    axes.set_title(_TITLES[kind])
    axes.axhline(THRESHOLD, **_THRESHOLD, zorder=1)
    axes.axhline(0.5, color=FAINT, linewidth=0.8, zorder=1)
    for margin in grey:
        axes.plot(at(margin.tried), [tried.auc.value for tried in margin.tried], **_GREY, zorder=1)
    for number, (distance, mark) in enumerate(full):
        margin = distance.margins[kind]
        x = [place + 0.04 * step * number for place in at(margin.tried)]
        auc = [level.auc.value for level in margin.tried]
        axes.plot(x[:2], auc[:2], color=mark.colour, linewidth=1.0, linestyle=":", zorder=3)  # not to scale
        for part in (slice(0, 1), slice(1, None)):
            axes.add_line(mark.line(x[part], auc[part], zorder=4))
        bars(axes, x, [level.auc for level in margin.tried], mark.colour)
        _read_off_level(axes, margin, mark, 0.47 - 0.02 * number, (start, places[-1]))
        words = f"{distance.technique}: {_level(margin)}"
        axes.text(0.03, 0.30 - 0.075 * number, words, transform=axes.transAxes, color=mark.colour, **_WORDS)
    axes.set_xlim(start - 0.35 * step, places[-1] + 0.35 * step)
    axes.xaxis.set_major_locator(FixedLocator([start, *places]))
    axes.xaxis.set_major_formatter(FixedFormatter(["none", *(f"{level:g}" for level in levels)]))
    axes.xaxis.set_minor_locator(NullLocator())


def _read_off_level(axes: Axes, margin: Margin, mark: Mark, y: float, ends: tuple[float, float]) -> None:
    """Lead from the level on the threshold down to its interval; an arrow marks an end that was not measured."""
    if margin.level is None:
        return
    place = position(margin.degradation, margin.level)
    left = ends[0] if margin.mild is None else position(margin.degradation, margin.mild)
    right = ends[1] if margin.harsh is None else position(margin.degradation, margin.harsh)
    axes.plot([place, place], [y, THRESHOLD], color=mark.colour, linewidth=0.7, linestyle=":", zorder=2)
    axes.plot([left, right], [y, y], color=mark.colour, linewidth=1.6, solid_capstyle="butt", zorder=3)
    for end, x, marker in ((margin.mild, left, "<"), (margin.harsh, right, ">")):
        if end is None:
            axes.plot([x], [y], marker, color=mark.colour, markersize=3.5)
    axes.add_line(mark.line([place], [y], markersize=3.5, zorder=4))


def _level(margin: Margin) -> str:
    """Return the level on the threshold, such as "42 (39 to 46)" or "beyond 10"."""
    if margin.level is None:
        first, last = margin.tried[1].level, margin.tried[-1].level
        return {
            "undegraded": f"{THRESHOLD:g} or less without",
            "below the mildest tried": f"before {first:g}",
            "beyond the worst tried": f"beyond {last:g}",
        }[margin.fall]
    mild = "milder" if margin.mild is None else f"{margin.mild:.3g}"
    harsh = "harsher" if margin.harsh is None else f"{margin.harsh:.3g}"
    return f"{margin.level:.3g} ({mild} to {harsh})"
