"""Images from one source judged together: share of right decisions, and the number that makes 99% of them right."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from arena.answer.bags import SURE, BagCurve, ImageCount
from arena.answer.distance import Distance
from arena.figures.axes import COLUMN, FAINT, INK, PALE, bars, look
from arena.figures.marks import Mark, in_full_and_grey, key, legend, others_key

WIDEST = 4096
"""Largest number of images on the axis."""
TOP = 0.9995
"""Height at which a share of 1 is drawn, under an arrow."""
_TICKS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
_DASHED = (0, (4, 2))
_DIAMOND = {"marker": "D", "markersize": 4.0, "markerfacecolor": "white"}


def bags(distances: Sequence[Distance], highlighted: Sequence[str], panel: float = 1.45 * COLUMN) -> Figure:
    """Draw the share of right decisions and the AUC by number of images judged together, with 95% intervals.

    The share is drawn by the logarithm of the share of errors, so that 99% stands clear of 1. Dashed is Chernoff's
    bound. A dotted line leads down from the smallest bag measured to be 99% right, a diamond marks it for the bound.

    Args:
        distances: of the techniques of a run; those without a bag curve are left out.
        highlighted: the techniques drawn in full, such as the strongest and the stack; the others are thin and grey.
        panel: width of a panel in inches.
    """
    known = [distance for distance in distances if distance.bags is not None]
    full, grey = in_full_and_grey(known, highlighted)
    with look():
        figure = Figure(figsize=(2 * panel, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        widest = _widest(known, [distance for distance, _ in full])
        for curve in (distance.bags for distance in grey):
            if curve is not None:
                n = [bag.n for bag in curve.bags]
                left.plot(n, [_height(bag.right.value) for bag in curve.bags], color=PALE, linewidth=0.8, zorder=1)
                right.plot(n, [bag.auc.value for bag in curve.bags], color=PALE, linewidth=0.8, zorder=1)
        keys: list[Line2D] = []
        for number, (distance, mark) in enumerate(full):
            if distance.bags is not None:
                _draw(left, right, distance.bags, mark, distance.technique, 1.0 + 0.05 * number, widest)
                _read_off(left, distance, mark)
                keys.append(mark.line(label=_numbers(distance)))
        _frame(left, right, widest)
        bound = {"color": INK, "linestyle": _DASHED, "linewidth": 1.0} | _DIAMOND
        keys.append(key("at least (Chernoff's bound), 99%", **bound))
        legend(figure, [*keys, others_key()] if grey else keys, 1 if panel < COLUMN else 2, 2.6)
    return figure


def _draw(left: Axes, right: Axes, curve: BagCurve, mark: Mark, name: str, aside: float, widest: int) -> None:
    n = [aside * bag.n for bag in curve.bags]
    sure = mark.line(n, [_height(bag.right.value) for bag in curve.bags], zorder=4)
    left.add_line(sure)
    bars(
        left,
        n,
        [_height(bag.right.low) for bag in curve.bags],
        [_height(bag.right.high) for bag in curve.bags],
        mark.colour,
    )
    none_wrong = [x for x, bag in zip(n, curve.bags, strict=True) if bag.right.value >= TOP]
    left.plot(none_wrong, [_height(1.0) + 0.1] * len(none_wrong), "^", color=mark.colour, markersize=2.5, clip_on=False)
    many = [float(k) for k in np.geomspace(1, widest, 400) if curve.bound(k) < TOP]
    heights = [_height(curve.bound(k)) for k in many]
    left.plot(many, heights, color=mark.colour, linestyle=_DASHED, linewidth=1.0)
    right.add_line(mark.line(n, [bag.auc.value for bag in curve.bags], zorder=4))
    bars(right, n, [bag.auc.low for bag in curve.bags], [bag.auc.high for bag in curve.bags], mark.colour)


def _read_off(axes: Axes, distance: Distance, mark: Mark) -> None:
    if distance.images is None:
        return
    measured, chernoff = distance.images.measured.n, distance.images.chernoff.n
    if measured is not None:
        axes.plot([measured] * 2, [_height(0.0), _height(SURE)], color=mark.colour, linewidth=0.9, linestyle=":")
    if chernoff is not None and chernoff <= WIDEST:
        axes.plot([chernoff], [_height(SURE)], color=mark.colour, linestyle="none", zorder=5, **_DIAMOND)


def _numbers(distance: Distance) -> str:
    """Return a legend such as "cnn: 8 (6 or more) for 99%; Chernoff: 13 (11 to 16)"."""
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
    ticks = ticks[:: 1 if len(ticks) <= 8 else 2]
    for axes in (left, right):
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        axes.set_xlabel("images from one source")
    left.set_title("share of right decisions", color=INK)
    left.axhline(_height(SURE), color=FAINT, linewidth=0.8, zorder=0)
    left.yaxis.set_major_locator(FixedLocator([_height(tick) for tick in _TICKS]))
    left.yaxis.set_major_formatter(FuncFormatter(lambda _, k: f"{100 * _TICKS[k or 0]:g}%"))
    left.set_ylim(_height(0.38), _height(1.0) + 0.15)
    right.set_title("AUC", color=INK)
    right.axhline(0.5, color=FAINT, linewidth=0.8, zorder=0)
    right.set_ylim(0.44, 1.02)


def _height(share: float) -> float:
    """Return the height of a share of right decisions: minus the decimal logarithm of the share of wrong ones."""
    return float(-np.log10(1.0 - min(share, TOP)))


def _widest(known: Sequence[Distance], full: Sequence[Distance]) -> int:
    """Return the end of the axis, a power of two past the largest bag and, up to ``WIDEST``, Chernoff's number."""
    reach = [bag.n for distance in known if distance.bags is not None for bag in distance.bags.bags]
    reach += [distance.images.chernoff.n or 1 for distance in full if distance.images is not None]
    return 1 << int(np.ceil(np.log2(max([2, *(min(n, WIDEST) for n in reach)]))))
