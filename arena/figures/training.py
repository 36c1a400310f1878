"""How the generator's training went: quality, memorisation and augmentation over the images shown."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from arena.figures.axes import COLUMN, FAINT, INK, look
from arena.records.schema import Record, TrainingRecord

COLOUR, SHADE, FAULT = "#00324e", "#c9c9c9", "#a84600"


def training_records(records: Sequence[Record]) -> list[TrainingRecord]:
    """Every look at a GAN in training, in order."""
    return [record for record in records if isinstance(record, TrainingRecord)]


def training_curves(curve: Sequence[TrainingRecord]) -> Figure:
    """Panels side by side over the real images shown in the generator's life: distance, memorisation, augmentation.

    Shaded are two standard errors of the distance and the 95% interval of memorisation; a cross marks what was rolled
    back, a dotted line where the generator began to respond to the detectors of a round.

    Args:
        curve: of one run, at least one.
    """
    augmented = any(seen.augmentation for seen in curve)
    with look():
        figure = Figure(figsize=(COLUMN * (2 + augmented), 2.4), layout="constrained")
        panels = figure.subplots(1, 2 + augmented, sharex=True)
        _interval(panels[0], curve, "kernel_distance")
        panels[0].set_title("kernel distance", color=INK)
        panels[0].set_yscale("log")
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda distance, _: f"{distance:g}"))
        panels[0].yaxis.set_minor_formatter(FuncFormatter(_one_figure))
        _interval(panels[1], curve, "memorisation")
        panels[1].axhline(0.5, zorder=1, **_CHANCE)
        panels[1].set_title("memorisation", color=INK)
        panels[1].set_ylim(0, 1)
        if augmented:
            x, y = [seen.images_seen for seen in curve], [seen.augmentation for seen in curve]
            panels[2].plot(x, y, color=COLOUR)
            panels[2].set_title("augmentation", color=INK)
            panels[2].set_ylim(0, max(0.05, *y) * 1.1)
        for axes in panels:
            _rounds(axes, curve)
            axes.set_xlabel("real images shown")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}k" if x else "0"))
        figure.legend(handles=_legend(curve), loc="outside upper left", ncols=4, handlelength=2.0)
    return figure


def _legend(curve: Sequence[TrainingRecord]) -> list[Artist]:
    """Of what there is to be seen."""
    handles: list[Artist] = [Patch(color=SHADE, label="± 2 s.e., or 95%"), Line2D([], [], label="chance", **_CHANCE)]
    if any(_begins(*pair) for pair in pairwise(curve)):
        handles.append(Line2D([], [], label="a response begins", **_BEGINS))
    if any(seen.fault for seen in curve):
        handles.append(Line2D([], [], color=FAULT, marker="x", linewidth=0.8, label="rolled back"))
    return handles


_CHANCE = {"color": FAINT, "linewidth": 0.8}
_BEGINS = {"color": FAINT, "linewidth": 0.9, "linestyle": ":"}


def _one_figure(distance: float, _: int | None) -> str:
    """A label between two powers of ten, at 2 and at 5."""
    leading = f"{distance:e}"[0]
    return f"{distance:g}" if leading in "25" else ""


def _interval(axes: Axes, curve: Sequence[TrainingRecord], figure: str) -> None:
    """A figure with its interval, where there is one, and crosses where training was rolled back."""
    sound = [seen for seen in curve if seen.kernel_distance is not None]
    x = np.array([seen.images_seen for seen in sound])
    y = np.array([getattr(seen, figure) for seen in sound], dtype=float)
    if figure == "kernel_distance":
        error = np.array([seen.kernel_distance_error for seen in sound], dtype=float)
        low, high = y - 2 * error, y + 2 * error
        floor = y[y > 0].min(initial=1.0) / 10  # on a logarithmic axis nothing lies at 0 or below
        y, low, high = (np.maximum(values, floor) for values in (y, low, high))
    else:
        low, high = (np.array([getattr(seen, f"{figure}_{end}") for seen in sound], float) for end in ("low", "high"))
    axes.fill_between(x, low, high, color=SHADE, linewidth=0)
    axes.plot(x, y, color=COLOUR, marker="o", markersize=2.5)
    for seen in curve:
        if seen.fault:
            axes.axvline(seen.images_seen, color=FAULT, linewidth=0.8)
            axes.plot([seen.images_seen], [0.97], "x", color=FAULT, transform=axes.get_xaxis_transform())


def _rounds(axes: Axes, curve: Sequence[TrainingRecord]) -> None:
    """A dotted line where a round's response began."""
    for before, after in pairwise(curve):
        if _begins(before, after):
            axes.axvline(before.images_seen, zorder=0, **_BEGINS)


def _begins(before: TrainingRecord, after: TrainingRecord) -> bool:
    return (before.purpose, before.round) != (after.purpose, after.round)
