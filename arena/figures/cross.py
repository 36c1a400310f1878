"""The cross matrix: fresh judges of each run against the fakes of every run, one panel a technique."""

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import FuncNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator
from scipy.stats import norm

from arena.answer.cross import CrossMatrix
from arena.answer.estimate import Estimate
from arena.figures.axes import AUC_TICKS, COLUMN, INK, grid_of, ink_on, look, panel_grid, within_axis
from arena.figures.tables import Table, number

# Its lightness rises steadily, also to a colour-blind eye (Nunez, Anderton & Renslow 2018).
_COLOURS = colormaps["cividis"]
_COLUMNS = 3


def cross(matrices: Mapping[str, CrossMatrix]) -> Figure:
    """Draw one matrix a technique: AUC of the judges of a run (down) on the fakes of a run (across).

    The framed diagonal holds each run's own judges. Equal steps of colour are equal separations of two normal
    distributions, so that differences near 1 are seen. Beneath a panel stand the means on and off the diagonal with
    their 95% intervals.

    Args:
        matrices: technique -> matrix, one or more, over the same runs.
    """
    rows, columns = grid_of(len(matrices), _COLUMNS)
    with look():
        # Two panels are the least width that holds colour bar and key.
        figure = Figure(figsize=(COLUMN * max(columns, 2), (COLUMN + 0.25) * rows + 0.85), layout="constrained")
        panels = panel_grid(figure, len(matrices), columns)
        values = [cell.value for matrix in matrices.values() for row in matrix.cells for cell in row]
        scale = _scale(min(values), max(values))
        for place, (axes, matrix) in enumerate(zip(panels, matrices.values(), strict=False)):
            _panel(axes, matrix, scale)
            if place % columns == 0:
                axes.set_ylabel("judges of seed")
        figure.colorbar(
            ScalarMappable(scale, _COLOURS),
            ax=panels,
            location="top",
            shrink=min(1.0, 3.0 / (COLUMN * columns)),
            aspect=26,
            anchor=(0.0, 0.0),
            pad=0.04,
            ticks=FixedLocator([tick for tick in AUC_TICKS if min(values) < tick < max(values)]),
            format="%g",
            label="AUC: how often a fake scores above a real",
        )
        square = Line2D([], [], linestyle="none", marker="s", ms=8.0, mfc="none", mec=INK, mew=1.2)
        figure.legend([square], ["judges of the run that made the fakes"], loc="outside lower left", handlelength=1.2)
    return figure


def _scale(low: float, high: float) -> FuncNorm:
    """Return colours over the normal quantile of AUC, from ``low`` to ``high`` and over at least a tenth."""
    room = max(0.0, 0.1 - (high - low)) / 2
    ends = within_axis(low - room), within_axis(high + room)
    return FuncNorm((lambda auc: norm.ppf(np.clip(auc, 1e-6, 1 - 1e-6)), norm.cdf), *ends, clip=True)


def _panel(axes: Axes, matrix: CrossMatrix, scale: FuncNorm) -> None:
    values = np.array([[cell.value for cell in row] for row in matrix.cells])
    size = len(values)
    axes.imshow(values, cmap=_COLOURS, norm=scale, interpolation="nearest")
    axes.set_title(matrix.technique)
    axes.set_xlabel(f"fakes of seed\n{_mean('own', matrix.own)}\n{_mean('others', matrix.others)}", linespacing=1.3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(range(size), list(map(str, matrix.seeds)))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for row, column in np.ndindex(values.shape):
        ink = ink_on(to_hex(_COLOURS(float(scale(values[row, column])))))
        words = f"{values[row, column]:.{3 if size <= 5 else 2}f}"
        axes.text(column, row, words, ha="center", va="center", color=ink, fontsize=min(8.0, 30.0 / size))
    for width, colour in ((2.6, "white"), (1.2, INK)):  # seen on dark cells and on light ones
        for k in range(size):
            frame = {"fill": False, "edgecolor": colour, "linewidth": width, "clip_on": False}
            axes.add_patch(Rectangle((k - 0.5, k - 0.5), 1, 1, **frame))


def _mean(name: str, estimate: Estimate) -> str:
    mean = estimate.interval().clipped()
    return f"{name} {mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]"


def cross_table(matrices: Mapping[str, CrossMatrix]) -> Table:
    """Return one row a technique and cell: seeds of judges and of fakes, and AUC with its 95% interval.

    The interval covers images and judge seeds. Two rows end a technique: the means on and off the diagonal, whose
    intervals are over runs.
    """
    table = [["technique", "judges", "fakes", "auc", "auc_low", "auc_high"]]
    for name, matrix in matrices.items():
        for row, judges in zip(matrix.cells, matrix.seeds, strict=True):
            for cell, fakes in zip(row, matrix.seeds, strict=True):
                table.append([name, str(judges), str(fakes), *map(number, cell)])
        for words, mean in (("own", matrix.own), ("others", matrix.others)):
            table.append([name, "all", words, *map(number, mean.interval().clipped())])
    return table
