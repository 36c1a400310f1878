"""Pictures made of images: the images of every round, reals on top."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from arena.core.errors import ArenaError
from arena.figures.axes import DPI, INK, look
from arena.records.layout import RunLayout

CELL = 72
"""Side in pixels to which an image is enlarged, or the nearest whole multiple of its own."""
GAP, LABEL, APART = 4, 124, 16
"""Pixels between the images, left of them for the name of the row, and below the reals."""

REALS = "reals"
Images = NDArray[np.uint8]


def read_rounds(run: Path) -> list[tuple[str, Images]]:
    """Return the rows of a run: reference reals, then the fakes of each round's bank.

    Raises:
        ArenaError: if a bank is no bank of uint8 images.
    """
    layout = RunLayout(run)
    rows = [(REALS, read_images(layout.reals, "sample"))] if layout.reals.is_file() else []
    return rows + [(f"round {number}", read_images(path, "test")) for number, path in layout.banks().items()]


def read_images(path: Path, name: str) -> Images:
    """Read one array of a bank, uint8 (N, C, H, W).

    Raises:
        ArenaError: if the file has no such array.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images = arrays[name]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ArenaError(f"{path}: expected an npz with the uint8 images {name!r}") from error
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ArenaError(f"{path}: expected {name!r} to be uint8 (N, C, H, W), found {images.dtype} {images.shape}")
    return images


def rounds_of_images(rows: Sequence[tuple[str, Images]], columns: int = 12) -> Figure:
    """Draw one row a round, every pixel of an image as a square of whole pixels of the picture.

    Args:
        rows: name of the row and its images, uint8 (N, C, H, W), top to bottom, all of one size. A first row named
            ``reals`` stands apart, since the columns below follow one z each.
        columns: images shown of each row.
    """
    side = rows[0][1].shape[-1]
    scale = enlargement(side)
    step = scale * side + GAP
    apart = APART if rows[0][0] == REALS else 0
    canvas = Canvas(LABEL + columns * step - GAP, len(rows) * step + apart)
    for row, (name, images) in enumerate(rows):
        top = row * step + (row > 0) * apart
        canvas.write(name, LABEL - 10, top + (step - GAP) / 2, size=8.0, bold=name == REALS, align="right")
        for column, image in enumerate(images[:columns]):
            canvas.put(image, LABEL + column * step, top, scale)
    return canvas.figure()


def enlargement(side: int, wanted: int = CELL) -> int:
    """Return the whole factor by which images of ``side`` pixels come nearest to ``wanted`` pixels, at least 1.

    >>> enlargement(32), enlargement(128)
    (2, 1)
    """
    return max(1, round(wanted / side))


class Canvas:
    """White picture of ``width`` x ``height`` pixels, on which images and text are placed."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._pixels = np.full((height, width, 3), 255, dtype=np.uint8)
        self._texts: list[dict[str, Any]] = []

    def put(self, image: Images, left: int, top: int, scale: int) -> None:
        """Place an image (C, H, W), each pixel enlarged to a square of ``scale`` pixels without smoothing."""
        large = image.repeat(scale, axis=1).repeat(scale, axis=2).transpose(1, 2, 0)
        self._pixels[top : top + large.shape[0], left : left + large.shape[1]] = large

    def write(
        self,
        text: str,
        x: float,
        y: float,
        size: float = 7.0,
        bold: bool = False,
        align: Literal["left", "center", "right"] = "left",
        upright: bool = False,
    ) -> None:
        """Place a line of text at (x, y), its middle in height; ``upright`` text reads from bottom to top."""
        rotated = {"rotation": 90, "rotation_mode": "anchor"} if upright else {}
        text_look = {"fontsize": size, "weight": "bold" if bold else "normal", "ha": align, "va": "center"}
        self._texts.append({"x": x / self.width, "y": 1 - y / self.height, "s": text} | text_look | rotated)

    def figure(self) -> Figure:
        """Return the picture as a figure."""
        with look():
            figure = Figure(figsize=(self.width / DPI, self.height / DPI))
            axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
            axes.set_axis_off()
            axes.imshow(self._pixels, interpolation="none", aspect="auto")
            for text in self._texts:
                figure.text(**text, color=INK)
        return figure
