"""Marks of curves and keys of legends: curves of one figure differ in marker or dashes, not in colour alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from arena.figures.axes import BAND
from arena.records.schema import Regime

if TYPE_CHECKING:
    from matplotlib.typing import LineStyleType


class Mark(NamedTuple):
    """Colour, marker and dashes of a curve; the face of a marker that is not filled is white."""

    colour: str
    marker: str
    filled: bool = True
    dashes: "LineStyleType" = "-"

    @property
    def face(self) -> str:
        """Colour of the marker's face."""
        return self.colour if self.filled else "white"

    def line(self, x: Sequence[float] = (), y: Sequence[float] = (), **look: Any) -> Line2D:
        """Return a curve, or without data its key for a legend."""
        own = {"color": self.colour, "marker": self.marker, "markerfacecolor": self.face, "linestyle": self.dashes}
        return Line2D(x, y, **(own | look))


# Hues of Okabe & Ito (2008), darkened: at least 3 to 1 on white, and a sixth of the range of lightness apart.
REGIMES: dict[Regime, Mark] = {
    "frozen": Mark("#3d98cf", "s", filled=False, dashes="none"),
    "retrained": Mark("#a84600", "^", dashes="none"),
    "fresh": Mark("#00324e", "o"),
}
# Okabe & Ito (2008), from dark to light.
HIGHLIGHTS = (Mark("#00324e", "o"), Mark("#d55e00", "s", filled=False), Mark("#56b4e9", "^"))

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


def mark_of(number: int) -> Mark:
    """Return the mark of condition or technique ``number``, counted from 0; the marks repeat after 36."""
    turn, place = divmod(number, len(_MARKERS))
    return Mark(_COLOURS[place], _MARKERS[place], dashes=_DASHES[(number + turn) % len(_DASHES)])


def key(label: str, **look: Any) -> Line2D:
    """Return the key of a line that is no curve."""
    return Line2D([], [], label=label, **look)


def chance_key(margin: float) -> Patch:
    """Return the key of the band of chance."""
    return Patch(color=BAND, label=f"chance, 1/2 ± {margin:g}")


def legend(figure: Figure, handles: Sequence[Artist], columns: int, length: float) -> None:
    """Put a legend above the panels, its keys ``length`` letters wide."""
    figure.legend(handles=list(handles), loc="outside upper left", ncols=columns, handlelength=length)
