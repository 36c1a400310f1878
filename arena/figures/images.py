"""The images of every round, reals on top: what the race does to the pictures themselves."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from arena.core.errors import ArenaError
from arena.figures.axes import Canvas

CELL = 72
"""Side in pixels an image is enlarged to, or the next whole multiple of its own."""
GAP, LABEL, APART = 4, 124, 16
"""Pixels between the images, left of them for the name of the row, and below the reals, which share no column's z."""

REALS = "reals"
Images = NDArray[np.uint8]


def rounds_of_images(rows: Sequence[tuple[str, Images]], columns: int = 12) -> Figure:
    """One row a round, every pixel of an image a square of whole pixels in the picture.

    Args:
        rows: name of the row and its images, uint8 (N, C, H, W), top to bottom, all of one size. Those named
            ``reals`` stand apart from what is below: where fakes come from one z, a column shows what became of it.
        columns: images shown of each row.
    """
    scale = max(1, round(CELL / rows[0][1].shape[-1]))
    step = scale * rows[0][1].shape[-1] + GAP
    apart = APART if rows[0][0] == REALS else 0
    canvas = Canvas(LABEL + columns * step - GAP, len(rows) * step + apart)
    for row, (name, images) in enumerate(rows):
        top = row * step + (row > 0) * apart
        canvas.say(name, LABEL - 10, top + (step - GAP) / 2, size=8.0, bold=name == REALS, align="right")
        for column, image in enumerate(images[:columns]):
            canvas.put(image, LABEL + column * step, top, scale)
    return canvas.figure()


def read_rounds(run: Path) -> list[tuple[str, Images]]:
    """The rows of a run: reference reals, then the fakes of each round's bank.

    Raises:
        ArenaError: if a bank is no bank of uint8 images.
    """
    banks = run / "banks"
    rows = [(REALS, _read(banks / "reals.npz", "sample"))] if (banks / "reals.npz").is_file() else []
    for path in sorted(banks.glob("round_*.npz")):
        rows.append((f"round {int(path.stem.removeprefix('round_'))}", _read(path, "test")))
    return rows


def _read(path: Path, name: str) -> Images:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images = arrays[name]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ArenaError(f"{path}: expected an npz with the uint8 images {name!r}") from error
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ArenaError(f"{path}: expected {name!r} to be uint8 (N, C, H, W), found {images.dtype} {images.shape}")
    return images
