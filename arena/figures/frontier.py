"""Detectability at equal quality, beside equal images: AUC over kernel distance, and over the images of training."""

import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from arena.answer.frontier import FrontierPoint
from arena.figures.axes import COLUMN, chance_band, look, separation_axis, within_axis
from arena.figures.marks import Mark, chance_key, legend, mark_of
from arena.figures.tables import Table, number

Paths = Mapping[str, Sequence[Sequence[FrontierPoint]]]
"""Condition -> the path of each of its runs."""
SHOWN = 3
"""Techniques drawn."""
_Place = Callable[[FrontierPoint], float]


def frontier_map(paths: Paths, techniques: Sequence[str], margin: float) -> Figure:
    """Draw one column a technique: AUC of fresh judges over kernel distance, and beneath it over the images shown.

    A path joins the means over the runs of a condition, round by round: from the white mark to the large one. Faint
    points are the runs. Where one path lies below another at the same kernel distance, its fakes are caught less at
    equal quality.

    Args:
        paths: condition -> the points of each of its runs, at least one with a kernel distance above 0.
        techniques: most wanted first. The first three are drawn.
        margin: the verdict's e.
    """
    names = list(techniques[:SHOWN])
    every = [point for runs in paths.values() for run in runs for point in run]
    rows: dict[str, _Place] = {"kernel distance to reals": lambda point: point.kernel_distance}
    if any(math.isfinite(point.images) for point in every):
        rows["real images shown to the generator"] = lambda point: point.images
    keys = [mark_of(k).line(label=name) for k, name in enumerate(paths)]
    columns = min(2, len(keys) + 1)
    with look():
        size = (COLUMN * max(len(names), 2), 2.1 * len(rows) + 0.35 + 0.17 * math.ceil((len(keys) + 1) / columns))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(rows), len(names), squeeze=False, sharey=True, sharex="row")
        for (label, place), row in zip(rows.items(), panels, strict=True):
            for axes, technique in zip(row, names, strict=True):
                chance_band(axes, margin)
                for k, runs in enumerate(paths.values()):
                    _path(axes, mark_of(k), runs, technique, place)
                axes.set_xlabel(label)
            row[0].set_ylabel("AUC, fresh judges")
        for axes, technique in zip(panels[0], names, strict=True):
            axes.set_title(technique)
        _distance_axis(panels[0][0])
        lowest = min((point.auc[name] for point in every for name in names if name in point.auc), default=0.4)
        separation_axis(panels[0][0], lowest)
        if len(rows) > 1:
            panels[1][0].xaxis.set_major_locator(MaxNLocator(4))
            panels[1][0].xaxis.set_major_formatter(FuncFormatter(lambda images, _: f"{images / 1000:g}k"))
        legend(figure, [*keys, chance_key(margin)], columns, 3.4)
    return figure


def _distance_axis(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda distance, _: f"{distance:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _path(axes: Axes, mark: Mark, runs: Sequence[Sequence[FrontierPoint]], technique: str, place: _Place) -> None:
    """Draw runs as faint points, and their means where every run has the round. Places below 0 are left out."""
    at: list[dict[int, tuple[float, float]]] = [
        {
            point.round: (place(point), within_axis(point.auc[technique]))
            for point in run
            if technique in point.auc and place(point) > 0
        }
        for run in runs
    ]
    if len(runs) > 1:
        scattered = [each for run in at for each in run.values()]
        look = {"linestyle": "none", "markersize": 2.5, "alpha": 0.35, "markeredgewidth": 0.0, "zorder": 2}
        axes.plot(*_columns(scattered), marker=mark.marker, color=mark.colour, **look)
    rounds = sorted(set.intersection(*(set(run) for run in at))) if at else []
    means = [
        (
            math.exp(sum(math.log(run[k][0]) for run in at) / len(at)),
            sum(run[k][1] for run in at) / len(at),
        )
        for k in rounds
    ]
    x, y = _columns(means)
    axes.add_line(mark.line(x, y, markersize=3.0, zorder=3))
    axes.add_line(mark.line(x[:1], y[:1], markersize=4.5, markerfacecolor="white", linestyle="none", zorder=4))
    axes.add_line(mark.line(x[-1:], y[-1:], markersize=6.0, linestyle="none", zorder=4))
    axes.autoscale_view()


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def frontier_table(paths: Paths) -> Table:
    """Return one row a condition, run, round and technique: kernel distance, images shown and AUC of fresh judges."""
    table = [["condition", "run", "round", "images", "kernel_distance", "technique", "auc"]]
    for condition, runs in paths.items():
        for run, points in enumerate(runs):
            for point in points:
                images = f"{point.images:.0f}" if math.isfinite(point.images) else ""
                for technique, auc in point.auc.items():
                    cells = [images, number(point.kernel_distance), technique, number(auc)]
                    table.append([condition, str(run), str(point.round), *cells])
    return table
