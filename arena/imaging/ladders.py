"""What is done to reals and fakes alike to ask how far from the edge a detection is: kinds, levels and units."""

from typing import Literal, NamedTuple

Degradation = Literal["noise", "blur", "jpeg", "downscale"]


class Ladder(NamedTuple):
    """The levels of a degradation that are tried, the mildest first.

    Args:
        levels: each further from the image than the one before.
        none: the level that leaves an image as it is.
        unit: what a level is, in words.
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
"""Where an AUC says nothing more, the level at which it falls to ``THRESHOLD`` does."""
THRESHOLD = 0.75
