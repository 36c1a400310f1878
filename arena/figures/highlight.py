"""Of many techniques a few drawn in full, told apart by marks as well as colours, and the rest as thin grey lines."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.lines import Line2D

from arena.answer.limit.distance import Distance
from arena.answer.verdict import Verdict
from arena.config import STACK

PALE = "#b4b4b4"


class Mark(NamedTuple):
    """How a technique drawn in full looks in the figures of the limit."""

    colour: str
    marker: str
    filled: bool


# Okabe & Ito (2008), from dark to light.
MARKS = (Mark("#00324e", "o", True), Mark("#d55e00", "s", False), Mark("#56b4e9", "^", True))


def highlighted(found: Verdict) -> list[str]:
    """The techniques of a verdict, those first that a reader asks for: the strongest, the stack, then by AUC."""
    by_auc = sorted(found.techniques, key=lambda name: -(found.techniques[name].auc or 0.0))
    first = [] if found.strongest is None else [found.strongest.technique]
    return list(dict.fromkeys([*first, STACK, *by_auc]))


def in_full(distances: Sequence[Distance], highlighted: Sequence[str]) -> list[tuple[Distance, Mark]]:
    """The distances to draw in full, in the order of the names; no more than there are marks."""
    found = {its.technique: its for its in distances}
    chosen = [found[name] for name in dict.fromkeys(highlighted) if name in found]
    return list(zip(chosen, MARKS, strict=False))


def in_grey(distances: Sequence[Distance], highlighted: Sequence[str]) -> list[Distance]:
    """The others."""
    drawn = {its.technique for its, _ in in_full(distances, highlighted)}
    return [its for its in distances if its.technique not in drawn]


def line(mark: Mark, label: str, x: Sequence[float] = (), y: Sequence[float] = ()) -> Line2D:
    """A technique's line, or its key in the legend."""
    face = mark.colour if mark.filled else "white"
    return Line2D(x, y, color=mark.colour, marker=mark.marker, markerfacecolor=face, label=label, zorder=4)


def others(label: str = "other techniques") -> Line2D:
    """The key of the grey lines."""
    return Line2D([], [], color=PALE, linewidth=0.8, label=label)
