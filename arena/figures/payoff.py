"""The payoff matrix of the race: the fakes of every round against the detectors of every round."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from arena.figures.series import Series
from arena.figures.style import BAND, COLUMN, INK, look
from arena.game.payoff import payoff
from arena.records import Record

SMALLEST_PRINT = 4.5
"""Points; where the cells hold no larger numbers, the colours must do."""
_COLOURS, _NORM = colormaps["PuOr_r"].with_extremes(bad=BAND), Normalize(0.0, 1.0)


def payoff_map(records: Sequence[Record], series: Sequence[Series], columns: int = 3, panel: float = COLUMN) -> Figure:
    """One matrix a technique: AUC of generator round (down) against detector round (across), the diagonal framed.

    Right of the diagonal stand later detectors before older fakes (do they forget?), left of it older detectors before
    newer fakes (frozen). The colours part at 1/2: orange where the fakes are told from reals, violet where the sign is
    wrong. A cell nobody scored is grey.

    Args:
        records: of one run.
        series: its techniques, in order.
        columns: panels a row.
        panel: inches a panel is wide.
    """
    columns = max(1, min(columns, len(series)))
    rows = max(1, math.ceil(len(series) / columns))
    with look():
        figure = Figure(figsize=(panel * columns + 0.55, (panel - 0.1) * rows + 0.1), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for number, (axes, its) in enumerate(zip(panels, series, strict=False)):
            _panel(axes, payoff(records, its.technique), panel)
            axes.set_title(its.title, color=INK)
            if number % columns == 0:
                axes.set_ylabel("fakes of round")
            if number >= len(series) - columns:
                axes.set_xlabel("detector of round")
        for axes in panels[len(series) :]:
            axes.set_axis_off()
        tall = min(0.7, 2 * columns / len(panels))  # of many rows the two upper ones, not a stripe down the page
        figure.colorbar(
            ScalarMappable(_NORM, _COLOURS),
            ax=list(panels),
            shrink=tall,
            aspect=22,
            anchor=(0.0, 0.5 if tall == 0.7 else 1.0),
            pad=0.02,
            label="AUC",
        )
    return figure


def _panel(axes: Axes, matrix: NDArray[np.float64], inches: float) -> None:
    size = len(matrix)
    print_size = min(8.0, 0.58 * 72 * inches / size / 2.6)
    axes.imshow(matrix, cmap=_COLOURS, norm=_NORM, interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(1) if size <= 8 else MaxNLocator(integer=True, nbins=6))
    for row, column in np.ndindex(size, size):
        value = matrix[row, column]
        if print_size >= SMALLEST_PRINT and not math.isnan(value):
            ink = "white" if abs(value - 0.5) > 0.34 else INK
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=print_size)
    for k in range(size):
        axes.add_patch(Rectangle((k - 0.5, k - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.2))
