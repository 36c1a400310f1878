"""The picture of the arms race: AUC of each technique over the rounds, in its three regimes."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from arena.figures.series import Reading, of_regime, reading, rounds, score_records, techniques, title
from arena.figures.style import BAND, COLUMN, FAINT, INK, REGIMES, look
from arena.records import Record, Regime

# Within a round, left to right, in the order of the race: confront, retrain, judge.
SAW = (0, (3, 2))
OFFSET: dict[Regime, float] = {"frozen": -0.18, "retrained": 0.0, "fresh": 0.18}


def timeline(records: Sequence[Record], margin: float, columns: int = 3) -> Figure:
    """One panel a technique: the generator's responses pull the frozen detector down, retraining lifts it again.

    Args:
        records: of one run.
        margin: the verdict's e: the band 1/2 - e to 1/2 + e is drawn.
        columns: panels a row.
    """
    names = techniques(records)
    columns = max(1, min(columns, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    with look():
        figure = Figure(figsize=(COLUMN * columns, 1.75 * rows + 0.75), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, name in zip(panels, names, strict=False):
            _panel(axes, records, name, margin)
        for axes in panels[len(names) :]:
            axes.set_axis_off()
        _frame(panels[0], records)
        for axes in panels[max(0, len(names) - columns) : len(names)]:
            axes.set_xlabel("round of the generator")
            axes.tick_params(labelbottom=True)
        for axes in panels[::columns]:
            axes.set_ylabel("AUC")
        figure.legend(handles=_legend(margin), loc="outside upper left", ncols=min(columns, 2), handlelength=2.8)
    return figure


def _panel(axes: Axes, records: Sequence[Record], name: str, margin: float) -> None:
    axes.set_title(title(records, name), color=INK)
    axes.axhspan(0.5 - margin, 0.5 + margin, color=BAND, linewidth=0, zorder=0)
    axes.axhline(0.5, color=FAINT, linewidth=0.8, zorder=1)
    _sawtooth(axes, records, name)
    for regime, stroke in REGIMES.items():
        points = {round: reading(records, name, regime, round) for round in rounds(records)}
        x = np.array(list(points)) + OFFSET[regime]
        fresh = regime == "fresh"
        (line,) = axes.plot(
            x,
            [point.auc for point in points.values()],
            color=stroke.colour,
            marker=stroke.marker,
            markerfacecolor=stroke.colour if stroke.filled else "white",
            linestyle=stroke.dashes if fresh else "none",
            zorder=4 if fresh else 3,
        )
        line.set_gid(f"{name}/{regime}")
        if fresh:
            _bars(axes, x, list(points.values()), stroke.colour)
            for round in points:
                seeds = [test.auc for test in of_regime(records, name, regime, round)]
                axes.plot([round + OFFSET[regime] + 0.13] * len(seeds), seeds, "_", color=stroke.colour, markersize=4)


def _sawtooth(axes: Axes, records: Sequence[Record], name: str) -> None:
    """Retrained detector of round r - 1, the same detector frozen before the new fakes, then retrained on them."""
    x, y = [], []
    for round in rounds(records):
        for regime in ("frozen", "retrained"):
            auc = reading(records, name, regime, round).auc
            if not math.isnan(auc):
                x.append(round + OFFSET[regime])
                y.append(auc)
    axes.plot(x, y, color=FAINT, linewidth=0.9, linestyle=SAW, zorder=2)


def _bars(axes: Axes, x: np.ndarray, points: list[Reading], colour: str) -> None:
    axes.vlines(x, [p.low for p in points], [p.high for p in points], color=colour, linewidth=1.1, zorder=4)


def _frame(axes: Axes, records: Sequence[Record]) -> None:
    """Shared by every panel: whole rounds, and AUC from what was lowest (but no higher than 0.4) to 1."""
    seen = rounds(records) or [0]
    axes.set_xlim(seen[0] - 0.5, seen[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    lowest = min((record.auc_low for record in score_records(records)), default=0.4)
    axes.set_ylim(min(0.4, lowest - 0.03), 1.03)


def _legend(margin: float) -> list[Line2D | Patch]:
    lines = [
        Line2D(
            [],
            [],
            color=stroke.colour,
            marker=stroke.marker,
            markerfacecolor=stroke.colour if stroke.filled else "white",
            linestyle=stroke.dashes if regime == "fresh" else "none",
            label=stroke.label,
        )
        for regime, stroke in REGIMES.items()
    ]
    saw = Line2D([], [], color=FAINT, linewidth=0.9, linestyle=SAW, label="down: it responds, up: they retrain")
    return [*lines, saw, Patch(color=BAND, label=f"chance, 1/2 ± {margin:g}")]
