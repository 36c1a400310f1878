"""Style mixing in pictures: the grid of a round, and photographs mixed (StyleGAN, Karras et al. 2019, figure 3)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from arena.core.errors import ArenaError
from arena.figures.images import GAP, Canvas, Images, enlargement
from arena.records.layout import RunLayout

RIM = 5 * GAP
"""Pixels between sources or destinations and their mixtures."""
BETWEEN, TITLE, MARGIN, FOOT = 40, 88, 30, 36
"""Pixels between blocks, above each block for its titles, left of it for the label of its sources, and below all."""
PHOTOGRAPH = 168
"""Side in pixels to which a photograph is enlarged, or the nearest whole multiple of its own."""
COLUMNS = ("photograph", "in W", "in W+", "coarse styles", "middle styles", "fine styles")


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
        ArenaError: if a file is no such grid.
    """
    paths = RunLayout(run).mixings()
    if not paths:
        return None
    round_index = max(paths)
    path, names = paths[round_index], ("coarse", "middle", "fine")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            sources, destinations = arrays["sources"], arrays["destinations"]
            levels = {name: arrays[name] for name in names}
            sides = {name: (int(low), int(high)) for name, (low, high) in zip(names, arrays["sides"], strict=True)}
            grid = MixingImages(round_index, sources, destinations, levels, sides, float(arrays["psi"]))
    except (OSError, ValueError, KeyError) as error:
        raise ArenaError(f"{path}: expected an npz with a grid of mixed styles") from error
    one = destinations.shape[1:]
    shapes = {"sources": (len(sources), *one), "destinations": (len(destinations), *one)}
    shapes |= {name: (len(sources), len(destinations), *one) for name in names}
    for name, images in {"sources": sources, "destinations": destinations, **levels}.items():
        if images.dtype != np.uint8 or len(one) != 3 or images.shape != shapes[name]:
            raise ArenaError(f"{path}: expected {name!r} to be uint8 images, found {images.dtype} {images.shape}")
    return grid


def mixing(grid: MixingImages, across: int = 3) -> Figure:
    """Draw one block a level: sources left, destinations on top, and each mixture in the row of its source.

    Args:
        grid: of one round.
        across: blocks side by side.
    """
    side = grid.destinations.shape[-1]
    scale = enlargement(side)
    side *= scale
    step, first = side + GAP, side + RIM
    wide, high = first + len(grid.destinations) * step - GAP, first + len(grid.sources) * step - GAP
    rows = -(-len(grid.levels) // across)
    canvas = Canvas(across * (MARGIN + wide) + (across - 1) * BETWEEN + GAP, rows * (TITLE + high) + FOOT)
    for number, (level, mixed) in enumerate(grid.levels.items()):
        left = MARGIN + (number % across) * (wide + BETWEEN + MARGIN)
        top = TITLE + (number // across) * (high + TITLE)
        low, most = grid.sides[level]
        sides = f"{low} px" if low == most else f"{low} to {most} px"
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
