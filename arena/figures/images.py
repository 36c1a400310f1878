"""Pictures made of images: those of every round below the reals, and styles mixed.

Grids of mixed styles follow figure 3 of StyleGAN (Karras et al. 2019).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from arena.core.errors import ArenaError
from arena.core.files import load_arrays
from arena.figures.axes import DPI, INK, look
from arena.records.integrity import check_files
from arena.records.layout import RunLayout

CELL, PHOTOGRAPH = 72, 168
"""Sides in pixels to which an image and a photograph are enlarged, or the nearest whole multiple of their own."""
GAP, LABEL, APART = 4, 124, 16
"""Pixels between images, left of them for the name of the row, and below the reals."""
RIM = 5 * GAP
"""Pixels between sources or destinations and their mixtures."""
BETWEEN, TITLE, MARGIN, FOOT = 40, 88, 30, 36
"""Pixels between grids of mixtures, above each for its titles, left of it for its label, and below all."""

REALS = "reals"
COLUMNS = ("photograph", "in W", "in W+", "coarse styles", "middle styles", "fine styles")
Images = NDArray[np.uint8]


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


# --- images of every round --------------------------------------------------------------------------------------------


def read_rounds(run: Path) -> list[tuple[str, Images]]:
    """Return the rows of a run: reference reals, then the fakes of each round's bank.

    Raises:
        ArenaError: if a bank is no bank of uint8 images, or not as it was recorded.
    """
    layout = RunLayout(run)
    check_files(run, [*filter(Path.is_file, [layout.reals]), *layout.banks().values()])
    rows = [(REALS, read_images(layout.reals, "sample"))] if layout.reals.is_file() else []
    return rows + [(f"round {number}", read_images(path, "test")) for number, path in layout.banks().items()]


def read_images(path: Path, name: str) -> Images:
    """Read one array of a bank, uint8 (N, C, H, W).

    Raises:
        ArenaError: if the file has no such array.
    """
    (images,) = load_arrays(path, [name])
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ArenaError(f"{path}: expected {name!r} to be uint8 (N, C, H, W), found {images.dtype} {images.shape}")
    return images


def rounds_of_images(rows: Sequence[tuple[str, Images]], columns: int = 12) -> Figure:
    """Draw one row a round, every pixel of an image as a square of whole pixels of the picture.

    Args:
        rows: name of the row and its images, uint8 (N, C, H, W), top to bottom, all of one size. A first row named
            ``reals`` stands apart, since the columns below follow one z each where fakes are not resampled.
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


# --- mixed styles -----------------------------------------------------------------------------------------------------


class MixingImages(NamedTuple):
    """Grid of mixed styles of a round, as ``forge`` wrote it.

    Args:
        round: of the generator.
        sources: uint8 (S, C, H, W).
        destinations: uint8 (D, C, H, W).
        levels: name of the level -> uint8 (S, D, C, H, W); at (i, j) destination j with that level of source i.
        sides: name of the level -> smallest and largest side in pixels of its layers.
        psi: truncation of the codes; 1 for none.
    """

    round: int
    sources: Images
    destinations: Images
    levels: Mapping[str, Images]
    sides: Mapping[str, tuple[int, int]]
    psi: float


def read_mixing(run: Path) -> MixingImages | None:
    """Read the grid of the last round that has one; None where no round has.

    Raises:
        ArenaError: if a file is no such grid, or not as it was recorded.
    """
    paths = RunLayout(run).mixings()
    if not paths:
        return None
    round_index, names = max(paths), ("coarse", "middle", "fine")
    path = paths[round_index]
    check_files(run, [path])
    arrays = load_arrays(path, ["sources", "destinations", *names, "sides", "psi"])
    (sources, destinations), levels = arrays[:2], dict(zip(names, arrays[2:5], strict=True))
    try:
        sides = {name: (int(low), int(high)) for name, (low, high) in zip(names, arrays[5], strict=True)}
        grid = MixingImages(round_index, sources, destinations, levels, sides, float(arrays[6]))
        one = destinations.shape[1:]
        shapes = {"sources": (len(sources), *one), "destinations": (len(destinations), *one)}
    except (ValueError, TypeError, OverflowError) as error:
        raise ArenaError(f"{path}: expected an npz with a grid of mixed styles") from error
    shapes |= {name: (len(sources), len(destinations), *one) for name in names}
    for name, images in {"sources": sources, "destinations": destinations, **levels}.items():
        if images.dtype != np.uint8 or len(one) != 3 or images.shape != shapes[name]:
            raise ArenaError(f"{path}: expected {name!r} to be uint8 images, found {images.dtype} {images.shape}")
    return grid


def mixing(grid: MixingImages, across: int = 3) -> Figure:
    """Draw one block a level, ``across`` side by side: sources left, destinations on top, mixtures in between."""
    scale = enlargement(grid.destinations.shape[-1])
    side = scale * grid.destinations.shape[-1]
    step, first = side + GAP, side + RIM
    wide, high = first + len(grid.destinations) * step - GAP, first + len(grid.sources) * step - GAP
    rows = -(-len(grid.levels) // across)
    canvas = Canvas(across * (MARGIN + wide) + (across - 1) * BETWEEN + GAP, rows * (TITLE + high) + FOOT)
    for number, (level, mixed) in enumerate(grid.levels.items()):
        left = MARGIN + (number % across) * (wide + BETWEEN + MARGIN)
        top = TITLE + (number // across) * (high + TITLE)
        least, most = grid.sides[level]
        sides = f"{least} px" if least == most else f"{least} to {most} px"
        canvas.write(f"{level} styles ({sides}) of the source", left, top - 52, size=8.0, bold=True)
        canvas.write("all others of the destination", left + first, top - 16)
        canvas.write("source", left - 14, top + first + (high - first) / 2, align="center", upright=True)
        for i, source in enumerate(grid.sources):
            canvas.put(source, left, top + first + i * step, scale)
            for j, image in enumerate(mixed[i]):
                canvas.put(image, left + first + j * step, top + first + i * step, scale)
        for j, destination in enumerate(grid.destinations):
            canvas.put(destination, left + first + j * step, top, scale)
    truncated = "" if grid.psi == 1 else f", truncated by ψ = {grid.psi:g}"
    canvas.write(f"round {grid.round}, noise frozen{truncated}", MARGIN, canvas.height - FOOT / 2 + 4)
    return canvas.figure()


def mixed_photographs(rows: Sequence[tuple[str, Images]], space: str) -> Figure:
    """Draw a row a photograph: itself, its reconstructions in W and W+, and itself with each level of other styles.

    Args:
        rows: name and images, uint8 (6, C, H, W) in the order of ``COLUMNS``.
        space: of the codes that were mixed, such as ``W+``.
    """
    scale = enlargement(rows[0][1].shape[-1], PHOTOGRAPH)
    side = scale * rows[0][1].shape[-1]
    step = side + GAP
    starts = [MARGIN + k * step + (k > 0) * RIM + (k > 2) * RIM for k in range(len(COLUMNS))]
    canvas = Canvas(starts[-1] + side, TITLE + len(rows) * step - GAP)
    canvas.write("reconstructed", starts[1], TITLE - 52, size=8.5, bold=True)
    canvas.write(f"mixed in {space}, with the other's", starts[3], TITLE - 52, size=8.5, bold=True)
    for left, heading in zip(starts, COLUMNS, strict=True):
        canvas.write(heading, left, TITLE - 18)
    for row, (name, images) in enumerate(rows):
        top = TITLE + row * step
        canvas.write(name, MARGIN - 14, top + side / 2, align="center", upright=True)
        for left, image in zip(starts, images, strict=True):
            canvas.put(image, left, top, scale)
    return canvas.figure()
