"""Shared style of the figures: colours, marks, legends, axes and files."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from arena.core.files import write_atomically
from arena.records.schema import Regime

if TYPE_CHECKING:
    from matplotlib.typing import ColorType, LineStyleType, RcKeyType
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from arena.answer.limit.distance import Distance
from arena.answer.verdict import Verdict
from arena.config.schema import STACK

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


PALE = "#b4b4b4"


class TechniqueMark(NamedTuple):
    """How a technique drawn in full looks in the figures of the limit."""

    colour: str
    marker: str
    filled: bool


# Okabe & Ito (2008), from dark to light.
MARKS = (TechniqueMark("#00324e", "o", True), TechniqueMark("#d55e00", "s", False), TechniqueMark("#56b4e9", "^", True))


def highlighted(found: Verdict) -> list[str]:
    """The techniques of a verdict, those first that a reader asks for: the strongest, the stack, then by AUC."""
    by_auc = sorted(found.techniques, key=lambda name: -(found.techniques[name].auc or 0.0))
    first = [] if found.strongest is None else [found.strongest.technique]
    return list(dict.fromkeys([*first, STACK, *by_auc]))


def in_full(distances: Sequence[Distance], highlighted: Sequence[str]) -> list[tuple[Distance, TechniqueMark]]:
    """The distances to draw in full, in the order of the names; no more than there are marks."""
    found = {its.technique: its for its in distances}
    chosen = [found[name] for name in dict.fromkeys(highlighted) if name in found]
    return list(zip(chosen, MARKS, strict=False))


def in_grey(distances: Sequence[Distance], highlighted: Sequence[str]) -> list[Distance]:
    """The others."""
    drawn = {its.technique for its, _ in in_full(distances, highlighted)}
    return [its for its in distances if its.technique not in drawn]


def highlight_line(mark: TechniqueMark, label: str, x: Sequence[float] = (), y: Sequence[float] = ()) -> Line2D:
    """A technique's line, or its key in the legend."""
    face = mark.colour if mark.filled else "white"
    return Line2D(x, y, color=mark.colour, marker=mark.marker, markerfacecolor=face, label=label, zorder=4)


def others(label: str = "other techniques") -> Line2D:
    """The key of the grey lines."""
    return Line2D([], [], color=PALE, linewidth=0.8, label=label)


class Words(NamedTuple):
    """A line of text with its anchor (x, y) in pixels from the top left corner."""

    text: str
    x: float
    y: float
    size: float
    bold: bool
    align: Literal["left", "center", "right"]
    upright: bool


class Canvas:
    """A white picture of ``width`` x ``height`` pixels to put images and words on."""

    def __init__(self, width: int, height: int) -> None:
        self.pixels = np.full((height, width, 3), 255, dtype=np.uint8)
        self.words: list[Words] = []

    def put(self, image: NDArray[np.uint8], left: int, top: int, scale: int) -> None:
        """An image uint8 (C, H, W), its pixels enlarged to squares of ``scale`` pixels and not smoothed."""
        large = image.repeat(scale, axis=1).repeat(scale, axis=2).transpose(1, 2, 0)
        self.pixels[top : top + large.shape[0], left : left + large.shape[1]] = large

    def say(
        self,
        text: str,
        x: float,
        y: float,
        size: float = 7.0,
        bold: bool = False,
        align: Literal["left", "center", "right"] = "left",
        upright: bool = False,
    ) -> None:
        """A line of text, its anchor (its middle in height) at (x, y); ``upright`` reads from the bottom to the top."""
        self.words.append(Words(text, x, y, size, bold, align, upright))

    def figure(self) -> Figure:
        """What was put and said."""
        height, width = self.pixels.shape[:2]
        with look():
            figure = Figure(figsize=(width / DPI, height / DPI))
            axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
            axes.set_axis_off()
            axes.imshow(self.pixels, interpolation="none", aspect="auto")
            for words in self.words:
                figure.text(
                    words.x / width,
                    1 - words.y / height,
                    words.text,
                    ha=words.align,
                    va="center",
                    color=INK,
                    fontsize=words.size,
                    weight="bold" if words.bold else "normal",
                    rotation=90 if words.upright else 0,
                    rotation_mode="anchor" if words.upright else "default",
                )
        return figure


PINNED = 0.999
"""AUC from which on a mark is drawn at the end of the axis: few test sets tell more nines apart."""
_TICKS = (0.01, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, PINNED)


def separation_axis(axes: Axes, lowest: float) -> None:
    """Make the ordinate such an axis, from ``lowest`` (but no higher than 0.4) to ``PINNED``."""
    axes.set_yscale("function", functions=(_quantile, _auc))
    axes.set_ylim(max(1 - PINNED, min(0.4, lowest)), 0.9995)
    axes.yaxis.set_major_locator(FixedLocator(_TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda auc, _: f"≥{auc:g}" if auc >= PINNED else f"{auc:g}"))


def pinned(auc: float) -> float:
    """Where an AUC is drawn on such an axis: itself, or the end of it."""
    return min(max(auc, 1 - PINNED), PINNED)


def _quantile(auc: ArrayLike) -> NDArray[np.float64]:
    return norm.ppf(np.clip(auc, 1e-6, 1 - 1e-6))


def _auc(quantile: ArrayLike) -> NDArray[np.float64]:
    return norm.cdf(quantile)
