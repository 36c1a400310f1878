"""Name the degradations of the margin phase, with their levels and units."""

from typing import Literal, NamedTuple

Degradation = Literal["noise", "blur", "jpeg", "downscale"]


class Ladder(NamedTuple):
    """Levels of one degradation, the mildest first.

    Args:
        levels: levels to try, each stronger than the one before.
        none: level that leaves an image unchanged.
        unit: unit of a level, in words.
    """

    levels: tuple[float, ...]
    none: float
    unit: str


LADDERS: dict[Degradation, Ladder] = {
    "noise": Ladder((2, 4, 8, 16, 32, 64, 128), 0, "standard deviation in grey levels of 255"),
    "blur": Ladder((0.35, 0.5, 0.7, 1, 1.4, 2, 2.8), 0, "standard deviation in pixels"),
    "jpeg": Ladder((95, 90, 80, 65, 50, 30, 10), 100, "quality of the JPEG, 100 for none"),
    "downscale": Ladder((1.25, 1.5, 2, 2.7, 4, 5.4, 8), 1, "factor by which the side shrinks"),
}
THRESHOLD = 0.75
"""AUC at whose crossing the margin of a degradation is read."""
