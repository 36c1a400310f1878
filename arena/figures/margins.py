"""Robustness of detection: AUC of fresh judges as reals and fakes alike are degraded more and more."""

from collections.abc import Sequence
from typing import get_args

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from arena.answer.distance import Distance
from arena.answer.distance import LevelTried, Margin, position
from arena.core.degradations import THRESHOLD, Degradation
from arena.figures.axes import COLUMN, FAINT, INK, PALE, bars, look, panel_grid
from arena.figures.marks import Mark, in_full_and_grey, key, legend, others_key

_TITLES: dict[Degradation, str] = {
    "noise": "noise: s.d. in grey levels of 255",
    "blur": "blur: s.d. in pixels",
    "jpeg": "JPEG: quality",
    "downscale": "downscaling: factor of the side",
}
_THRESHOLD = {"color": FAINT, "linestyle": (0, (4, 2)), "linewidth": 0.9}


def margin_curves(
    distances: Sequence[Distance], highlighted: Sequence[str], columns: int = 2, panel: float = 1.3 * COLUMN
) -> Figure:
    """Draw one panel a degradation, from the undegraded images on the left to the harshest level; 95% intervals.

    Where a technique's curve falls to the threshold, its level is read off with the interval below.

    Args:
        distances: of the techniques of a run; those never degraded are left out.
        highlighted: the techniques drawn in full, such as the strongest and the stack; the others are thin and grey.
        columns: panels a row.
        panel: width of a panel in inches.
    """
    kinds = [kind for kind in get_args(Degradation) if any(kind in distance.margins for distance in distances)]
    full, grey = in_full_and_grey(distances, highlighted)
    columns = max(1, min(columns, len(kinds)))
    with look():
        rows = max(1, -(-len(kinds) // columns))
        figure = Figure(figsize=(panel * columns, 2.2 * rows + 0.35), layout="constrained")
        panels = panel_grid(figure, len(kinds), columns, sharey=True)
        for number, (axes, kind) in enumerate(zip(panels, kinds, strict=False)):
            known = [
                (distance.technique, distance.margins[kind], mark)
                for distance, mark in full
                if kind in distance.margins
            ]
            _panel(axes, kind, known, [distance.margins[kind] for distance in grey if kind in distance.margins])
            if number % columns == 0:
                axes.set_ylabel("AUC")
        panels[0].set_ylim(0.42, 1.03)
        keys = [mark.line(label=distance.technique) for distance, mark in full]
        keys += [others_key()] if grey else []
        keys.append(key(f"AUC {THRESHOLD:g}", **_THRESHOLD))
        legend(figure, keys, len(keys) if columns > 1 else 2, 2.4)
    return figure


def _panel(axes: Axes, kind: Degradation, full: Sequence[tuple[str, Margin, Mark]], grey: Sequence[Margin]) -> None:
    every = [*(margin for _, margin, _ in full), *grey]
    levels = {tried.level for margin in every for tried in margin.tried[1:]}
    levels = sorted(levels, key=lambda level: position(kind, level))
    places = [position(kind, level) for level in levels]
    step = max((places[-1] - places[0]) / max(1, len(places) - 1), 1e-3)
    start = places[0] - step  # the undegraded image has no place on a logarithmic scale

    def at(tried: Sequence[LevelTried]) -> list[float]:
        return [start, *(position(kind, level.level) for level in tried[1:])]

    axes.set_title(_TITLES[kind], color=INK)
    axes.axhline(THRESHOLD, **_THRESHOLD, zorder=1)
    axes.axhline(0.5, color=FAINT, linewidth=0.8, zorder=1)
    for margin in grey:
        axes.plot(at(margin.tried), [tried.auc.value for tried in margin.tried], color=PALE, linewidth=0.8, zorder=1)
    for number, (technique, margin, mark) in enumerate(full):
        tried = margin.tried
        x, auc = [place + 0.04 * step * number for place in at(tried)], [level.auc.value for level in tried]
        axes.plot(x[:2], auc[:2], color=mark.colour, linewidth=1.0, linestyle=":", zorder=3)  # not to scale
        for part in (slice(0, 1), slice(1, None)):
            axes.add_line(mark.line(x[part], auc[part], zorder=4))
        bars(axes, x, [level.auc.low for level in tried], [level.auc.high for level in tried], mark.colour)
        _read_off(axes, margin, mark, 0.47 - 0.02 * number, (start, places[-1]))
        text = axes.text(
            0.03,
            0.30 - 0.075 * number,
            f"{technique}: {_level(margin)}",
            transform=axes.transAxes,
            color=mark.colour,
            fontsize=7.5,
            weight="bold",
            zorder=6,
        )
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.75})
    axes.set_xlim(start - 0.35 * step, places[-1] + 0.35 * step)
    axes.xaxis.set_major_locator(FixedLocator([start, *places]))
    axes.xaxis.set_major_formatter(FixedFormatter(["none", *(f"{level:g}" for level in levels)]))
    axes.xaxis.set_minor_locator(NullLocator())


def _read_off(axes: Axes, margin: Margin, mark: Mark, y: float, ends: tuple[float, float]) -> None:
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
