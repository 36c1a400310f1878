"""The "Red Queen" payoff map: the fakes of every round against the detectors of every round.

After the plots of Cliff & Miller (1995, 2006), in which players of every generation meet opponents of every other. Two
sides that only keep pace look the same round by round, and differ here. How to read a panel:

- *Arms race*: light on and right of the diagonal, dark left of it, and darker the farther from it. Every detector
  catches the fakes up to its round, and every generator evades earlier detectors.
- *Cycling*: light bands left of the diagonal and dark ones right of it, parallel to it. Detectors of some rounds ago
  catch today's fakes again. A tartan of light and dark rows and columns may be cycles or mere drift (Cartlidge &
  Bullock 2004).
- *Forgetting*: dark right of the diagonal. Later detectors miss older fakes.
- *Disengagement*: one tone all over. Neither side responds to the other.
"""

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

from arena.answer.payoff import payoff, played
from arena.answer.series import Series
from arena.figures.axes import COLUMN, FAINT, INK, NARROW, grid_of, look, panel_grid
from arena.records.schema import Record, ScoreRecord

SMALLEST_PRINT = 4.5
"""Points; cells without room for numbers of this size have none."""
A_PAGE = 12
"""Number of panels that fit a page three abreast; more are put five abreast."""
# Its lightness rises steadily, also to a colour-blind eye (Nunez, Anderton & Renslow 2018).
_COLOURS, _NORM = colormaps["cividis"].with_extremes(bad=(0.0, 0.0, 0.0, 0.0)), Normalize(0.0, 1.0)
_DARK = 0.55
"""AUC below which white ink has more contrast than black."""
_HATCHED = {"facecolor": "white", "edgecolor": FAINT, "hatch": "//////", "linewidth": 0.0}


def payoff_map(records: Sequence[Record], series: Sequence[Series], narrow: bool = False) -> Figure:
    """Draw one matrix a technique: AUC of generator round (down) against detector round (across), the diagonal framed.

    The lighter the cell, the higher the AUC. A white corner marks the wrong sign: an AUC whose 95% interval lies wholly
    below 1/2 (at chance one cell in forty does). A cell without scores is hatched.

    Args:
        records: of one run.
        series: its techniques, in order.
        narrow: draw it for a narrow window, two matrices side by side.
    """
    panel, columns = (COLUMN * 3 / 5, 5) if len(series) > A_PAGE else (COLUMN, 3)
    if narrow:
        panel, columns = NARROW, 2
    rows, columns = grid_of(len(series), columns)
    width = panel * columns
    with look():
        above = 1.0 if width > 2 * COLUMN else 1.3
        figure = Figure(figsize=(width + 0.1, (panel - 0.05) * rows + above), layout="constrained")
        panels = panel_grid(figure, len(series), columns)
        matrices = [payoff(records, one.technique) for one in series]
        for number, (axes, one, matrix) in enumerate(zip(panels, series, matrices, strict=False)):
            _panel(axes, played(records, one.technique), matrix, panel)
            axes.set_title(one.title, fontsize=min(8.5, 72 * (panel - 0.3) / 0.62 / len(one.title)))
            if number % columns == 0:
                axes.set_ylabel("fakes of round")
            if number >= len(series) - columns:
                axes.set_xlabel("detector of round")
        _colour_bar(figure, panels[:columns], width)
        holes = any(np.isnan(matrix).any() for matrix in matrices)
        _legend(figure, 1 if width <= 2 * COLUMN else 2 + holes, holes)
    return figure


def _panel(
    axes: Axes, cells: Mapping[tuple[int, int], ScoreRecord], matrix: NDArray[np.float64], inches: float
) -> None:
    size = len(matrix)
    print_size = min(8.0, 0.58 * 72 * inches / size / 2.6)
    axes.patch.set(**_HATCHED)
    axes.imshow(matrix, cmap=_COLOURS, norm=_NORM, interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(1) if size <= 8 else MaxNLocator(integer=True, nbins=6))
    for (row, column), record in cells.items():
        if print_size >= SMALLEST_PRINT:
            ink = "white" if record.auc < _DARK else INK
            axes.text(column, row, f"{record.auc:.2f}", ha="center", va="center", color=ink, fontsize=print_size)
    # The lower right corner of a cell is clear of its number.
    corners = [
        [(column + 0.47, row + 0.47), (column + 0.13, row + 0.47), (column + 0.47, row + 0.13)]
        for (row, column), record in cells.items()
        if record.auc_high < 0.5
    ]
    axes.add_collection(PolyCollection(corners, facecolors="white", linewidths=0))
    thin = min(1.0, 8.0 / size)
    for width, colour in ((2.6 * thin, "white"), (1.2 * thin, INK)):  # seen on dark cells and on light ones
        for k in range(size):
            square = Rectangle((k - 0.5, k - 0.5), 1, 1, fill=False, edgecolor=colour, linewidth=width, clip_on=False)
            axes.add_patch(square)


def _colour_bar(figure: Figure, panels: list[Axes], inches: float) -> None:
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


def _legend(figure: Figure, columns: int, holes: bool) -> None:
    square, corner = to_hex(_COLOURS(0.2)), Path([(0.5, -0.5), (-0.1, -0.5), (0.5, 0.1)])
    wrong = (_key("s", square, square), _key(corner, "white", "white"))
    keys = {"fakes and detector of the same round": _key("s", "none", INK), "wrong sign: below 1/2 (95%)": wrong}
    if holes:
        keys["not scored"] = Patch(**_HATCHED)
    figure.legend(list(keys.values()), list(keys), loc="outside lower left", ncols=columns, handlelength=1.2)


def _key(marker: str | Path, face: str, edge: str) -> Line2D:
    width = 0.0 if isinstance(marker, Path) else 1.2
    return Line2D([], [], linestyle="none", marker=marker, ms=8.0, mfc=face, mec=edge, mew=width)
