"""Images from one source judged together: how sure they make a decision, and how many it takes to be 99% sure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from arena.answer.limit.bags import SURE, BagCurve, ImageCount
from arena.answer.limit.distance import Distance
from arena.figures.axes import COLUMN, FAINT, INK, PALE, TechniqueMark, highlight_line, in_full, in_grey, look, others

WIDEST = 4096
"""Images beyond which the axis does not go."""
TOP = 0.9995
"""Where a share of 1 is drawn: an arrow says that it is no less."""
_TICKS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
_DASHED = (0, (4, 2))


def bags(distances: Sequence[Distance], highlighted: Sequence[str], panel: float = 1.45 * COLUMN) -> Figure:
    """Share of right decisions and AUC by the number of images judged together, with 95% intervals.

    The share is drawn by the logarithm of what is wrong, so that 99% does not drown below 1. Dashed is what Chernoff's
    bound promises of any number of images. Lines lead down from the least bag measured to be 99% sure, a diamond stands
    where the bound is.

    Args:
        distances: of the techniques of a run; those without a bag curve are left out.
        highlighted: the techniques drawn in full, such as the strongest and the stack; the others are thin and grey.
        panel: inches a panel is wide.
    """
    known = [its for its in distances if its.bags is not None]
    with look():
        figure = Figure(figsize=(2 * panel, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        widest = _widest(known, highlighted)
        for its in in_grey(known, highlighted):
            if its.bags is not None:
                n = [found.n for found in its.bags.bags]
                left.plot(n, [_height(found.sure) for found in its.bags.bags], color=PALE, linewidth=0.8, zorder=1)
                right.plot(n, [found.auc for found in its.bags.bags], color=PALE, linewidth=0.8, zorder=1)
        keys: list[Line2D] = []
        for number, (its, mark) in enumerate(in_full(known, highlighted)):
            if its.bags is not None:
                _draw(left, right, its.bags, mark, its.technique, 1.0 + 0.05 * number, widest)
                _read_off(left, its, mark)
                keys.append(highlight_line(mark, _said(its)))
        _frame(left, right, widest)
        keys.append(
            Line2D(
                [],
                [],
                color=INK,
                linestyle=_DASHED,
                linewidth=1.0,
                label="at least (Chernoff's bound), 99%",
                marker="D",
                markersize=4.0,
                markerfacecolor="white",
            )
        )
        if in_grey(known, highlighted):
            keys.append(others())
        figure.legend(handles=keys, loc="outside upper left", ncols=1 if panel < COLUMN else 2, handlelength=2.6)
    return figure


def _draw(left: Axes, right: Axes, curve: BagCurve, mark: TechniqueMark, name: str, aside: float, widest: int) -> None:
    n = [aside * found.n for found in curve.bags]
    sure = highlight_line(mark, name, n, [_height(found.sure) for found in curve.bags])
    sure.set_gid(f"{name}/sure")
    left.add_line(sure)
    left.vlines(
        n,
        [_height(found.low) for found in curve.bags],
        [_height(found.high) for found in curve.bags],
        color=mark.colour,
        linewidth=0.9,
        zorder=3,
    )
    none_wrong = [x for x, found in zip(n, curve.bags, strict=True) if found.sure >= TOP]
    left.plot(none_wrong, [_height(1.0) + 0.1] * len(none_wrong), "^", color=mark.colour, markersize=2.5, clip_on=False)
    many = [float(k) for k in np.geomspace(1, widest, 400) if curve.bound(k) < TOP]
    bound = left.plot(
        many, [_height(curve.bound(k)) for k in many], color=mark.colour, linestyle=_DASHED, linewidth=1.0
    )
    bound[0].set_gid(f"{name}/chernoff")
    auc = highlight_line(mark, name, n, [found.auc for found in curve.bags])
    auc.set_gid(f"{name}/auc")
    right.add_line(auc)
    right.vlines(
        n,
        [found.auc_low for found in curve.bags],
        [found.auc_high for found in curve.bags],
        color=mark.colour,
        linewidth=0.9,
        zorder=3,
    )


def _read_off(axes: Axes, its: Distance, mark: TechniqueMark) -> None:
    if its.images is None:
        return
    measured, chernoff = its.images.measured.n, its.images.chernoff.n
    if measured is not None:
        axes.plot([measured] * 2, [_height(0.0), _height(SURE)], color=mark.colour, linewidth=0.9, linestyle=":")
    if chernoff is not None and chernoff <= WIDEST:
        axes.plot(
            [chernoff], [_height(SURE)], "D", color=mark.colour, markersize=4.0, markerfacecolor="white", zorder=5
        )


def _said(its: Distance) -> str:
    """Such as "cnn: 8 (6 or more), Chernoff 13 (11 to 16)"."""
    if its.images is None:
        return its.technique
    measured, chernoff = its.images.measured, its.images.chernoff
    first = f"more than {its.images.most}" if measured.n is None else _count(measured)
    return f"{its.technique}: {first} for 99%; Chernoff: {'-' if chernoff.n is None else _count(chernoff)}"


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
    """Where a share of right decisions is drawn: by the decimal logarithm of the share of wrong ones."""
    return float(-np.log10(1.0 - min(share, TOP)))


def _widest(distances: Sequence[Distance], highlighted: Sequence[str]) -> int:
    """The last number on the axis, a power of two: past the largest bag, and past Chernoff's number where it fits."""
    reach = [found.n for its in distances if its.bags is not None for found in its.bags.bags]
    reach += [its.images.chernoff.n or 1 for its, _ in in_full(distances, highlighted) if its.images is not None]
    return 1 << int(np.ceil(np.log2(max([2, *(min(n, WIDEST) for n in reach)]))))
