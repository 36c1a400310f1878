"""The "Red Queen" payoff map: the fakes of every round against the detectors of every round.

After the plots of Cliff & Miller (1995, 2006), in which the players of every generation meet the opponents of every
other: two sides that only run to stay in place look the same round by round, and not here. How to read a panel:

- *Arms race*: light on and right of the diagonal, dark left of it, and darker the farther from it: every detector
  knows the fakes up to its round, and every generator has left the detectors of old behind.
- *Cycling*: light bands left of the diagonal and dark ones right of it, parallel to it: detectors of some rounds ago
  catch today's fakes again. A tartan of light and dark rows and columns may be cycles or mere drift (Cartlidge &
  Bullock 2004).
- *Forgetting*: dark right of the diagonal: later detectors miss older fakes.
- *Disengagement*: one tone all over: nobody answers anybody.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from arena.answer.game.payoff import payoff, played
from arena.figures.axes import COLUMN, FAINT, INK, look
from arena.figures.series import Series
from arena.records.schema import Record, ScoreRecord

SMALLEST_PRINT = 4.5
"""Points; where the cells hold no larger numbers, the colours must do."""
A_PAGE = 12
"""Panels a page holds three abreast; of more there are five abreast."""
# Its lightness rises steadily, to a colour-blind eye too (Nunez, Anderton & Renslow 2018).
_COLOURS, _NORM = colormaps["cividis"].with_extremes(bad=(0.0, 0.0, 0.0, 0.0)), Normalize(0.0, 1.0)
_DARK = 0.55
"""Below it white ink is read more easily than black."""


def payoff_map(
    records: Sequence[Record], series: Sequence[Series], columns: int | None = None, panel: float = COLUMN
) -> Figure:
    """One matrix a technique: AUC of generator round (down) against detector round (across), the diagonal framed.

    The lighter the cell, the more of the fakes are told from reals. A white corner marks the wrong sign: an AUC whose
    95% interval lies wholly below 1/2 (at chance one cell in forty does). A cell nobody scored is hatched.

    Args:
        records: of one run.
        series: its techniques, in order.
        columns: panels a row; three by default, or so many that the figure stays on a page.
        panel: inches a panel is wide, three abreast.
    """
    if columns is None and len(series) > A_PAGE:
        columns, panel = 5, panel * 3 / 5
    columns = max(1, min(columns or 3, len(series)))
    rows = max(1, math.ceil(len(series) / columns))
    with look():
        figure = Figure(
            figsize=(panel * columns + 0.1, (panel - 0.05) * rows + (1.0 if panel * columns > 2 * COLUMN else 1.3)),
            layout="constrained",
        )
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for number, (axes, its) in enumerate(zip(panels, series, strict=False)):
            _panel(axes, played(records, its.technique), payoff(records, its.technique), panel)
            axes.set_title(its.title, color=INK, fontsize=min(8.5, 72 * (panel - 0.3) / 0.62 / len(its.title)))
            if number % columns == 0:
                axes.set_ylabel("fakes of round")
            if number >= len(series) - columns:
                axes.set_xlabel("detector of round")
        for axes in panels[len(series) :]:
            axes.set_axis_off()
        holes = any(np.isnan(payoff(records, its.technique)).any() for its in series)
        _key(figure, list(panels[:columns]), panel * columns, holes)
    return figure


def _panel(
    axes: Axes, cells: Mapping[tuple[int, int], ScoreRecord], matrix: NDArray[np.float64], inches: float
) -> None:
    size = len(matrix)
    print_size = min(8.0, 0.58 * 72 * inches / size / 2.6)
    axes.patch.set(facecolor="white", edgecolor=FAINT, hatch="//////", linewidth=0.0)
    axes.imshow(matrix, cmap=_COLOURS, norm=_NORM, interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(1) if size <= 8 else MaxNLocator(integer=True, nbins=6))
    for (row, column), record in cells.items():
        if print_size >= SMALLEST_PRINT:
            ink = "white" if record.auc < _DARK else INK
            axes.text(column, row, f"{record.auc:.2f}", ha="center", va="center", color=ink, fontsize=print_size)
    wrong = [(column, row) for (row, column), record in cells.items() if record.auc_high < 0.5]
    axes.add_collection(PolyCollection([_corner(*cell) for cell in wrong], facecolors="white", linewidths=0))
    thin = min(1.0, 8.0 / size)
    for width, colour in ((2.6 * thin, "white"), (1.2 * thin, INK)):  # seen on dark cells and on light ones
        for k in range(size):
            square = Rectangle((k - 0.5, k - 0.5), 1, 1, fill=False, edgecolor=colour, linewidth=width, clip_on=False)
            axes.add_patch(square)


def _corner(column: float, row: float) -> list[tuple[float, float]]:
    """The lower right of a cell, clear of its number."""
    return [(column + 0.47, row + 0.47), (column + 0.13, row + 0.47), (column + 0.47, row + 0.13)]


def _key(figure: Figure, panels: list[Axes], inches: float, holes: bool) -> None:
    bar = figure.colorbar(
        ScalarMappable(_NORM, _COLOURS),
        ax=panels,
        location="top",
        shrink=min(1.0, 3.0 / inches),
        aspect=26,
        anchor=(0.0, 0.0),
        pad=0.06,
        label="AUC: how often a fake scores above a real",
    )
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    square, corner = to_hex(_COLOURS(0.2)), Path([(0.5, -0.5), (-0.1, -0.5), (0.5, 0.1)])
    wrong = (_mark("s", square, square), _mark(corner, "white", "white"))
    marks = {"fakes and detector of the same round": _mark("s", "none", INK), "wrong sign: below 1/2 (95%)": wrong}
    if holes:
        marks["not scored"] = Patch(facecolor="white", edgecolor=FAINT, hatch="//////", linewidth=0.0)
    figure.legend(
        list(marks.values()),
        list(marks),
        loc="outside lower left",
        ncols=len(marks) if inches > 2 * COLUMN else 1,
        handlelength=1.2,
    )


def _mark(marker: str | Path, face: str, edge: str) -> Line2D:
    width = 0.0 if isinstance(marker, Path) else 1.2
    return Line2D([], [], linestyle="none", marker=marker, ms=8.0, mfc=face, mec=edge, mew=width)
