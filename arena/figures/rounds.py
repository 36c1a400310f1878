"""The images of every round, reals on top: what the race does to the pictures themselves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from arena.errors import ArenaError
from arena.figures.style import DPI, INK, look

CELL = 72
"""Side in pixels an image is enlarged to, or the next whole multiple of its own."""
GAP, LABEL = 4, 124
"""Pixels between the images, and left of them for the name of the row."""

Images = NDArray[np.uint8]


def rounds_of_images(rows: Sequence[tuple[str, Images]], columns: int = 12) -> Figure:
    """One row a round, every pixel of an image a square of whole pixels in the picture.

    Args:
        rows: name of the row and its images, uint8 (N, C, H, W), top to bottom, all of one size. Where they come from
            the same z, a column shows what became of one z.
        columns: images shown of each row.
    """
    wall = np.concatenate([_strip(images[:columns], columns) for _, images in rows])
    height, width = wall.shape[:2]
    step = height // len(rows)
    with look():
        figure = Figure(figsize=((LABEL + width) / DPI, height / DPI))
        axes = figure.add_axes((LABEL / (LABEL + width), 0.0, width / (LABEL + width), 1.0))
        axes.set_axis_off()
        axes.imshow(wall, interpolation="none", aspect="auto")
        for number, (name, _) in enumerate(rows):
            y = 1 - (number * step + (step - GAP) / 2) / height
            weight = "bold" if number == 0 else "normal"
            figure.text((LABEL - 10) / (LABEL + width), y, name, ha="right", va="center", color=INK, weight=weight)
    return figure


def read_rounds(run: Path) -> list[tuple[str, Images]]:
    """The rows of a run: reference reals, then the fakes of each round's bank.

    Raises:
        ArenaError: if a bank is no bank of uint8 images.
    """
    banks = run / "banks"
    rows = [("reals", _read(banks / "reals.npz", "sample"))] if (banks / "reals.npz").is_file() else []
    for path in sorted(banks.glob("round_*.npz")):
        rows.append((f"round {int(path.stem.removeprefix('round_'))}", _read(path, "test")))
    return rows


def _read(path: Path, name: str) -> Images:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images = arrays[name]
    except (OSError, ValueError, KeyError) as error:
        raise ArenaError(f"{path}: expected an npz with the uint8 images {name!r}") from error
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ArenaError(f"{path}: expected {name!r} to be uint8 (N, C, H, W), found {images.dtype} {images.shape}")
    return images


def _strip(images: Images, columns: int) -> NDArray[np.uint8]:
    """A row of enlarged images, white between and below: (CELL + GAP, width, 3)."""
    scale = max(1, round(CELL / images.shape[-1]))
    side = scale * images.shape[-1]
    strip = np.full((side + GAP, columns * (side + GAP) - GAP, 3), 255, dtype=np.uint8)
    for column, image in enumerate(images):
        left = column * (side + GAP)
        strip[:side, left : left + side] = image.repeat(scale, axis=1).repeat(scale, axis=2).transpose(1, 2, 0)
    return strip
