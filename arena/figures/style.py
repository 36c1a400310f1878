"""One look for every figure: colours a colour-blind reader tells apart, marks that survive a grey printer."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from arena.records import Regime, write_atomically

if TYPE_CHECKING:
    from matplotlib.typing import ColorType, LineStyleType, RcKeyType

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


# Hues of Okabe & Ito (2008), darkened: at least 3 to 1 on white, and a sixth of the range of lightness apart.
REGIMES: dict[Regime, Stroke] = {
    "frozen": Stroke("frozen: last round's detector", "#3d98cf", "s", False, False),
    "retrained": Stroke("the same, retrained on these fakes", "#a84600", "^", True, False),
    "fresh": Stroke("fresh judges: mean, 95% CI, each seed", "#00324e", "o", True, True),
}


class Line(NamedTuple):
    """How one of several conditions or techniques is drawn: any two differ in marker or in dashes, not in hue alone."""

    colour: str
    marker: str
    dashes: "LineStyleType"


_COLOURS = ("#5b1a45", "#006b4f", "#c86ba0", "#00446b", "#b34a00", "#767676")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES: "tuple[LineStyleType, ...]" = (
    "-",
    (0, (4, 1.5)),
    (0, (1, 1)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (9, 2)),
    (0, (4, 1, 1, 1, 1, 1)),
)


def line(number: int) -> Line:
    """The line of condition or technique ``number``, from 0; with the 37th they begin again."""
    turn, place = divmod(number, len(_MARKERS))
    return Line(_COLOURS[place], _MARKERS[place], _DASHES[(number + turn) % len(_DASHES)])


def contrast(one: "ColorType", other: "ColorType") -> float:
    """Contrast of two colours, 1 to 21: 3 is the least for large print and for marks, 4.5 for small (WCAG 2.1)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: "ColorType") -> float:
    """Relative luminance of an sRGB colour, 0 (black) to 1 (white), which is what a grey print keeps (WCAG 2.1)."""
    linear = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def ink_on(ground: "ColorType") -> str:
    """What to write with on a coloured ground: white or ``INK``, whichever stands out more."""
    return max(("white", INK), key=lambda ink: contrast(ink, ground))


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
