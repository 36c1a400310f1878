"""What detection withstands: AUC of fresh judges as reals and fakes alike are degraded more and more."""

from collections.abc import Sequence
from typing import get_args

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from arena.answer.limit.distance import Distance
from arena.answer.limit.margins import LevelTried, Margin, position
from arena.figures.axes import COLUMN, FAINT, INK, PALE, TechniqueMark, highlight_line, in_full, in_grey, look, others
from arena.imaging.ladders import THRESHOLD, Degradation

_UNITS: dict[Degradation, str] = {
    "noise": "noise: s.d. in grey levels of 255",
    "blur": "blur: s.d. in pixels",
    "jpeg": "JPEG: quality",
    "downscale": "downscaling: factor of the side",
}
_DASHED = (0, (4, 2))


def margin_curves(
    distances: Sequence[Distance], highlighted: Sequence[str], columns: int = 2, panel: float = 1.3 * COLUMN
) -> Figure:
    """One panel a degradation, from the undegraded images on the left to the harshest; 95% intervals.

    Where a technique's line falls to the threshold its level is read off, with the interval below.

    Args:
        distances: of the techniques of a run; those never degraded are left out.
        highlighted: the techniques drawn in full, such as the strongest and the stack; the others are thin and grey.
        columns: panels a row.
        panel: inches a panel is wide.
    """
    kinds = [kind for kind in get_args(Degradation) if any(kind in its.margins for its in distances)]
    columns = max(1, min(columns, len(kinds)))
    rows = max(1, -(-len(kinds) // columns))
    with look():
        figure = Figure(figsize=(panel * columns, 2.2 * rows + 0.35), layout="constrained")
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for number, (axes, kind) in enumerate(zip(panels, kinds, strict=False)):
            _panel(axes, kind, distances, highlighted)
            if number % columns == 0:
                axes.set_ylabel("AUC")
        for axes in panels[len(kinds) :]:
            axes.set_axis_off()
        panels[0].set_ylim(0.42, 1.03)
        keys: list[Line2D] = [highlight_line(mark, its.technique) for its, mark in in_full(distances, highlighted)]
        if in_grey(distances, highlighted):
            keys.append(others())
        keys.append(Line2D([], [], color=FAINT, linestyle=_DASHED, linewidth=0.9, label=f"AUC {THRESHOLD:g}"))
        figure.legend(handles=keys, loc="outside upper left", ncols=len(keys) if columns > 1 else 2, handlelength=2.4)
    return figure


def _panel(axes: Axes, kind: Degradation, distances: Sequence[Distance], highlighted: Sequence[str]) -> None:
    levels = sorted(
        {tried.level for its in distances if kind in its.margins for tried in its.margins[kind].tried[1:]},
        key=lambda level: position(kind, level),
    )
    places = [position(kind, level) for level in levels]
    step = max((places[-1] - places[0]) / max(1, len(places) - 1), 1e-3)
    start = places[0] - step  # the undegraded image has no place on a logarithmic scale

    def at(tried: Sequence[LevelTried]) -> list[float]:
        return [start, *(position(kind, its.level) for its in tried[1:])]

    axes.set_title(_UNITS[kind], color=INK)
    axes.axhline(THRESHOLD, color=FAINT, linewidth=0.9, linestyle=_DASHED, zorder=1)
    axes.axhline(0.5, color=FAINT, linewidth=0.8, zorder=1)
    for its in in_grey(distances, highlighted):
        if kind in its.margins:
            tried = its.margins[kind].tried
            axes.plot(at(tried), [found.auc for found in tried], color=PALE, linewidth=0.8, zorder=1)
    chosen = [(its, mark) for its, mark in in_full(distances, highlighted) if kind in its.margins]
    for number, (its, mark) in enumerate(chosen):
        tried, aside = its.margins[kind].tried, 0.04 * step * number
        x, auc = [place + aside for place in at(tried)], [found.auc for found in tried]
        axes.plot(x[:2], auc[:2], color=mark.colour, linewidth=1.0, linestyle=":", zorder=3)  # not to scale
        for part, name in ((slice(0, 1), "undegraded"), (slice(1, None), kind)):
            curve = highlight_line(mark, its.technique, x[part], auc[part])
            curve.set_gid(f"{its.technique}/{name}")
            axes.add_line(curve)
        axes.vlines(
            x,
            [found.low for found in tried],
            [found.high for found in tried],
            color=mark.colour,
            linewidth=0.9,
            zorder=3,
        )
        _read_off(axes, its.margins[kind], mark, 0.47 - 0.03 * number, (start, places[-1]))
        said = axes.text(
            0.03,
            0.30 - 0.075 * number,
            f"{its.technique}: {_said(its.margins[kind])}",
            transform=axes.transAxes,
            color=mark.colour,
            fontsize=7.5,
            weight="bold",
            zorder=6,
        )
        said.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.75})
    axes.set_xlim(start - 0.35 * step, places[-1] + 0.35 * step)
    axes.xaxis.set_major_locator(FixedLocator([start, *places]))
    axes.xaxis.set_major_formatter(FixedFormatter(["none", *(f"{level:g}" for level in levels)]))
    axes.xaxis.set_minor_locator(NullLocator())


def _read_off(axes: Axes, margin: Margin, mark: TechniqueMark, y: float, ends: tuple[float, float]) -> None:
    """From the level on the threshold down to its interval: a bar near the foot, with an arrow where it has no end."""
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
    face = mark.colour if mark.filled else "white"
    axes.plot([place], [y], mark.marker, color=mark.colour, markerfacecolor=face, markersize=3.5, zorder=4)


def _said(margin: Margin) -> str:
    """Such as "42 (39 to 46)" or "beyond 10"."""
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
