"""Draw the limits of detection of techniques by artefact."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from arena.figures.axes import INK, ink_on, look
from arena.studies.sensitivity.search import CAUGHT, DetectionLimits


def sensitivity(limits: DetectionLimits, own: Mapping[str, str], largest: int) -> Figure:
    """Draw a matrix of limits in grey levels. Dark cells are low limits; hatched cells caught nothing.

    Bold limits belong to the artefact that a technique must catch to be fit.

    Args:
        limits: of every technique and artefact, in the order of rows and columns.
        own: technique -> the artefact it must catch.
        largest: largest amplitude tried, in grey levels.
    """
    names, kinds = list(limits), list(next(iter(limits.values())))
    matrix = np.array([[limits[name][kind].amplitude for kind in kinds] for name in names], dtype=float)  # None: nan
    colours, norm = colormaps["viridis"].with_extremes(bad="white"), LogNorm(1, largest)
    with look():
        figure = Figure(figsize=(1.5 + 0.78 * len(kinds), 0.9 + 0.235 * len(names)), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(matrix, cmap=colours, norm=norm, aspect="auto", interpolation="nearest")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xticks(range(len(kinds)), [kind.replace("_", "\n") for kind in kinds])
        axes.set_yticks(range(len(names)), names)
        axes.xaxis.tick_top()
        for (row, column), value in np.ndenumerate(matrix):
            name, kind = names[row], kinds[column]
            if blind := math.isnan(value):  # white and light yellow look alike in a grey print
                axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **_BLIND))
            ink = INK if blind else ink_on(colours(norm(value)))
            weight = "bold" if own.get(name) == kind else "normal"
            axes.text(
                column,
                row,
                str(limits[name][kind]),
                ha="center",
                va="center",
                color=ink,
                fontsize=7,
                weight=weight,
                bbox=_PLATE if blind else None,
            )
        octaves = [2**k for k in range(int(math.log2(largest)) + 1)]
        bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, pad=0.02, ticks=octaves)
        bar.ax.set_yticklabels([str(octave) for octave in octaves])
        bar.ax.minorticks_off()
        bar.set_label(f"grey levels at which a fresh judge reaches AUC {CAUGHT} (bold: its own artefact)")
    return figure


_BLIND = {"facecolor": "none", "edgecolor": "#b4b4b4", "hatch": "////", "linewidth": 0}
_PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
