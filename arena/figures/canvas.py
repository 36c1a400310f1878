"""Images and words at whole pixels: every pixel of an image is a square of whole pixels in the picture."""

from typing import Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from arena.figures.style import DPI, INK, look


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
