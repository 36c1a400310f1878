"""Page, colours, axes and files that all figures share."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy.stats import norm

from arena.core.files import write_atomically
from arena.metrics.interval import Interval

if TYPE_CHECKING:
    from matplotlib.typing import ColorType, RcKeyType

COLUMN, NARROW = 2.45, 1.75
"""Width of a panel in inches: on a page, and where two panels share the width of a phone."""
DPI = 200

INK, FAINT, PALE, BAND = "#1b1b1b", "#8a8a8a", "#b4b4b4", "#e4e4e4"
"""Greys, from dark to light: text, axes, curves in the background, the band of chance."""

_LOOK: "dict[RcKeyType, Any]" = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.unicode_minus": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.5,
    "figure.dpi": DPI,
    "savefig.dpi": "figure",
    "figure.facecolor": "white",
    "pdf.fonttype": 42,  # text stays text
}


@contextmanager
def look() -> Iterator[None]:
    """Set matplotlib's parameters for a figure; the caller's own have no effect and are restored."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        yield


_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}
"""Entries left out of a file, so that equal figures give equal bytes."""


def png(figure: Figure) -> bytes:
    """Return the figure as PNG."""
    return _encoded(figure, "png")


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``<stem>.png`` and ``<stem>.pdf``."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in _METADATA]
    for path, kind in zip(paths, _METADATA, strict=True):
        write_atomically(path, _encoded(figure, kind))
    return paths


def _encoded(figure: Figure, kind: str) -> bytes:
    buffer = BytesIO()
    with look():
        figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def contrast(one: "ColorType", other: "ColorType") -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.1 asks 3 of graphics and large print, 4.5 of small).

    >>> contrast("black", "white")
    21.0
    """
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: "ColorType") -> float:
    """Return the relative luminance of an sRGB colour, 0 (black) to 1 (white), which a grey print keeps (WCAG 2.1)."""
    linear = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def ink_on(ground: "ColorType") -> str:
    """Return the text colour on a coloured ground: white or ``INK``, whichever has more contrast."""
    return max(("white", INK), key=lambda ink: contrast(ink, ground))


def grid_of(count: int, columns: int) -> tuple[int, int]:
    """Return rows and columns of a grid for ``count`` panels, at least one of each.

    >>> grid_of(4, 3), grid_of(2, 3), grid_of(0, 3)
    ((2, 3), (1, 2), (1, 1))
    """
    columns = max(1, min(columns, count))
    return max(1, math.ceil(count / columns)), columns


def panel_grid(figure: Figure, count: int, columns: int, **shared: Any) -> list[Axes]:
    """Return the panels of a grid, row by row; those after ``count`` are empty."""
    panels = figure.subplots(*grid_of(count, columns), squeeze=False, **shared).ravel().tolist()
    for axes in panels[count:]:
        axes.set_axis_off()
    return panels


def chance_band(axes: Axes, margin: float) -> None:
    """Shade AUC from 1/2 - ``margin`` to 1/2 + ``margin``, with a line at chance."""
    axes.axhspan(0.5 - margin, 0.5 + margin, color=BAND, linewidth=0, zorder=0.5)
    axes.axhline(0.5, color=FAINT, linewidth=0.8, zorder=1)


def bars(axes: Axes, x: Sequence[float], intervals: Iterable[Interval], colour: str, **look: Any) -> None:
    """Draw intervals as vertical bars."""
    _, low, high = zip(*intervals, strict=True)
    axes.vlines(x, low, high, color=colour, **({"linewidth": 0.9, "zorder": 3} | look))


AXIS_END = 0.999
"""Highest AUC that a separation axis resolves; higher ones are drawn here, since test sets rarely tell more nines."""
AUC_TICKS = (0.01, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, AXIS_END)
"""Ticks of a separation axis."""


def separation_axis(axes: Axes, lowest: float) -> None:
    """Scale the ordinate by the normal quantile of AUC: equal steps are equal separations of two normal distributions.

    The axis runs from ``lowest``, at most 0.4, to ``AXIS_END``.
    """
    axes.set_yscale("function", functions=(lambda auc: norm.ppf(np.clip(auc, 1e-6, 1 - 1e-6)), norm.cdf))
    axes.set_ylim(max(1 - AXIS_END, min(0.4, lowest)), 0.9995)
    axes.yaxis.set_major_locator(FixedLocator(AUC_TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda auc, _: f"≥{auc:g}" if auc >= AXIS_END else f"{auc:g}"))


def within_axis(auc: float) -> float:
    """Return the height at which a separation axis draws an AUC: itself, or the end of the axis."""
    return min(max(auc, 1 - AXIS_END), AXIS_END)
