"""One look for every figure: colours a colour-blind reader tells apart, marks that survive a grey printer."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure

from arena.records import Regime, write_atomically

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

COLUMN = 2.45
"""Inches a panel is wide."""
NARROW = 1.75
"""The same where two panels share the width of a phone."""
DPI = 200

INK, FAINT, BAND = "#1b1b1b", "#8a8a8a", "#e4e4e4"


class Stroke(NamedTuple):
    """How a regime is drawn wherever it appears."""

    label: str
    colour: str
    marker: str
    filled: bool
    joined: bool


# Okabe & Ito (2008), chosen to differ in lightness too.
REGIMES: dict[Regime, Stroke] = {
    "frozen": Stroke("frozen: last round's detector", "#56b4e9", "s", False, False),
    "retrained": Stroke("the same, retrained on these fakes", "#d55e00", "^", True, False),
    "fresh": Stroke("fresh judges: mean, 95% CI, each seed", "#00324e", "o", True, True),
}

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
    "figure.dpi": DPI,
    "savefig.dpi": "figure",
    "figure.facecolor": "white",
    "pdf.fonttype": 42,  # text stays text
}


@contextmanager
def look() -> Iterator[None]:
    """Draw inside this, and whatever the caller has set for matplotlib has no say and is left as it was."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        yield


def png(figure: Figure) -> bytes:
    """The figure as PNG; equal figures make equal bytes."""
    return _encoded(figure, "png", {"Software": None})


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``<stem>.png`` and ``<stem>.pdf``; equal figures make equal files, so neither holds a date or a version."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "pdf")]
    write_atomically(paths[0], png(figure))
    write_atomically(paths[1], _encoded(figure, "pdf", {"Creator": None, "Producer": None, "CreationDate": None}))
    return paths


def _encoded(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = BytesIO()
    with look():
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
