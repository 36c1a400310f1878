"""Training of the generator: quality, memorisation and augmentation over the images shown."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from arena.figures.axes import COLUMN, FAINT, look
from arena.figures.marks import key, legend
from arena.records.schema import TrainingRecord

Values = NDArray[np.float64]

COLOUR, SHADE, FAULT = "#00324e", "#c9c9c9", "#a84600"
_CHANCE = {"color": FAINT, "linewidth": 0.8}
_BEGINS = {"color": FAINT, "linewidth": 0.9, "linestyle": ":"}


def training_curves(records: Sequence[TrainingRecord]) -> Figure:
    """Draw distance, memorisation and augmentation over the real images shown in the generator's life.

    Shaded are two standard errors of the distance and the 95% interval of memorisation. A cross marks training that was
    rolled back, a dotted line the start of a response to the detectors of a round.

    Args:
        records: of one run, at least one.
    """
    augmented = any(record.augmentation for record in records)
    with look():
        figure = Figure(figsize=(COLUMN * (2 + augmented), 2.4), layout="constrained")
        panels = figure.subplots(1, 2 + augmented, sharex=True)
        _distance(panels[0], records)
        _memorisation(panels[1], records)
        if augmented:
            x, y = [record.images_seen for record in records], [record.augmentation for record in records]
            panels[2].plot(x, y, color=COLOUR)
            panels[2].set_title("augmentation")
            panels[2].set_ylim(0, max(0.05, *y) * 1.1)
        for axes in panels:
            for before, after in pairwise(records):
                if _begins(before, after):
                    axes.axvline(before.images_seen, zorder=0, **_BEGINS)
            axes.set_xlabel("real images shown")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}k" if x else "0"))
        keys: list[Artist] = [Patch(color=SHADE, label="± 2 s.e., or 95%"), key("chance", **_CHANCE)]
        if any(_begins(*pair) for pair in pairwise(records)):
            keys.append(key("a response begins", **_BEGINS))
        if any(record.fault for record in records):
            keys.append(key("rolled back", color=FAULT, marker="x", linewidth=0.8))
        legend(figure, keys, 4, 2.0)
    return figure


def _begins(before: TrainingRecord, after: TrainingRecord) -> bool:
    return (before.purpose, before.round) != (after.purpose, after.round)


def _distance(axes: Axes, records: Sequence[TrainingRecord]) -> None:
    y, error = _values(records, "kernel_distance"), _values(records, "kernel_distance_error")
    floor = y[y > 0].min(initial=1.0) / 10  # on a logarithmic axis nothing lies at 0 or below
    _curve(axes, records, *(np.maximum(values, floor) for values in (y, y - 2 * error, y + 2 * error)))
    axes.set_title("kernel distance")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda distance, _: f"{distance:g}"))
    # Between two powers of ten there is a label at 2 and at 5.
    label = FuncFormatter(lambda distance, _: f"{distance:g}" if f"{distance:e}"[0] in "25" else "")
    axes.yaxis.set_minor_formatter(label)


def _memorisation(axes: Axes, records: Sequence[TrainingRecord]) -> None:
    names = ("memorisation", "memorisation_low", "memorisation_high")
    _curve(axes, records, *(_values(records, name) for name in names))
    axes.axhline(0.5, zorder=1, **_CHANCE)
    axes.set_title("memorisation")
    axes.set_ylim(0, 1)


def _values(records: Sequence[TrainingRecord], name: str) -> Values:
    """Return a field of the records that were not rolled back."""
    return np.array([getattr(record, name) for record in records if record.kernel_distance is not None], dtype=float)


def _curve(axes: Axes, records: Sequence[TrainingRecord], y: Values, low: Values, high: Values) -> None:
    """Draw a curve with its interval over the sound records, and a cross where training was rolled back."""
    x = _values(records, "images_seen")
    axes.fill_between(x, low, high, color=SHADE, linewidth=0)
    axes.plot(x, y, color=COLOUR, marker="o", markersize=2.5)
    for record in records:
        if record.fault:
            axes.axvline(record.images_seen, color=FAULT, linewidth=0.8)
            axes.plot([record.images_seen], [0.97], "x", color=FAULT, transform=axes.get_xaxis_transform())
