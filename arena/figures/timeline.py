"""The picture of the arms race: AUC of each technique over the rounds, in its three regimes."""

import math
from collections.abc import Sequence

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from arena.answer.series import Series
from arena.figures.axes import COLUMN, FAINT, NARROW, bars, chance_band, grid_of, look, panel_grid
from arena.figures.marks import REGIMES, chance_key, key, legend
from arena.records.schema import Regime

# Within a round, left to right, in the order of the race: confront, retrain, judge.
OFFSET: dict[Regime, float] = {"frozen": -0.18, "retrained": 0.0, "fresh": 0.18}
LABELS: dict[Regime, str] = {
    "frozen": "frozen: last round's detector",
    "retrained": "the same, retrained on these fakes",
    "fresh": "fresh judges: mean, 95% CI, each seed",
}
SEEDS = 0.25
"""Rounds right of the fresh judges' mean at which each seed stands."""
VERDICT = 0.64
"""Rounds right of the last round at which the judges of the larger budget stand, beyond the seeds."""
MANY, LONG = 12, 10
"""Number of techniques above which panels are small, to fit a page, and of rounds above which they are wide."""
LARGER = "fresh judges that the verdict reads"
_SAWTOOTH = {"color": FAINT, "linewidth": 0.9, "linestyle": (0, (3, 2))}


def timeline(series: Sequence[Series], margin: float, narrow: bool = False) -> Figure:
    """Draw one panel a technique: responses of the generator lower the frozen detector's AUC, retraining raises it.

    Three panels stand side by side, one more with over ``MANY`` techniques, one less with over ``LONG`` rounds.

    Args:
        series: of one run.
        margin: the verdict's e: the band from 1/2 - e to 1/2 + e is shaded.
        narrow: draw it for a narrow window, two panels side by side.
    """
    many = len(series) > MANY and not narrow
    long = max((len(one.rounds) for one in series), default=0) > LONG
    width, columns = (2 * NARROW, 2 - long) if narrow else (3 * COLUMN, 3 + many - long)
    panel = width / columns
    rows, columns = grid_of(len(series), columns)
    keys_across = 1 if panel * columns < 2 * COLUMN else 2
    with look():
        if long:
            rcParams["lines.markersize"] *= 0.65
        keys = [_line(regime, label=label) for regime, label in LABELS.items()]
        if any(one.decisive for one in series):
            keys.append(_larger(label=LARGER))
        keys += [key("responses (down), retraining (up)", **_SAWTOOTH), chance_key(margin)]
        height = (1.25 if many else 1.6) * rows + 0.3 + 0.17 * math.ceil(len(keys) / keys_across)
        figure = Figure(figsize=(panel * columns, height), layout="constrained")
        panels = panel_grid(figure, len(series), columns, sharex=True, sharey=True)
        for number, (axes, one) in enumerate(zip(panels, series, strict=False)):
            _panel(axes, one, margin)
            if number % columns == 0:
                axes.set_ylabel("AUC")
            if number >= len(series) - columns:
                axes.tick_params(labelbottom=True)
                axes.set_xlabel("round of the generator")
        _frame(panels[0], series)
        legend(figure, keys, keys_across, 2.8)
    return figure


def _panel(axes: Axes, series: Series, margin: float) -> None:
    axes.set_title(series.title)
    chance_band(axes, margin)
    _sawtooth(axes, series)
    for regime in REGIMES:
        points = [series.at(regime, round_index) for round_index in series.rounds]
        x = [round_index + OFFSET[regime] for round_index in series.rounds]
        line = _line(regime, x, [point.value for point in points])
        axes.add_line(line)
        if regime == "fresh":
            colour, size = REGIMES[regime].colour, 0.8 * line.get_markersize()
            bars(axes, x, points, colour, linewidth=1.4, zorder=2)
            for left, round_index in zip(x, series.rounds, strict=True):
                judges = series.seeds.get(round_index, ())
                places = [left + SEEDS] * len(judges)
                axes.plot(places, judges, "_", color=colour, markersize=size, markeredgewidth=0.7)
    if series.decisive:
        rounds = [round_index + VERDICT for round_index in series.decisive]
        axes.add_line(_larger(rounds, [point.value for point in series.decisive.values()]))
        bars(axes, rounds, list(series.decisive.values()), REGIMES["fresh"].colour, linewidth=0.9, zorder=2)


def _sawtooth(axes: Axes, series: Series) -> None:
    """Join each round's detector on the fakes before and after its retraining."""
    path = [
        (round_index + OFFSET[regime], series.at(regime, round_index).value)
        for round_index in series.rounds
        for regime in ("frozen", "retrained")
    ]
    known = [(x, auc) for x, auc in path if not math.isnan(auc)]
    axes.plot([x for x, _ in known], [auc for _, auc in known], **_SAWTOOTH, zorder=2)


def _line(regime: Regime, x: Sequence[float] = (), y: Sequence[float] = (), label: str = "") -> Line2D:
    return REGIMES[regime].line(x, y, label=label, zorder=4 if regime == "fresh" else 3)


def _larger(x: Sequence[float] = (), y: Sequence[float] = (), label: str = "") -> Line2D:
    return REGIMES["fresh"].line(x, y, label=label, markerfacecolor="white", linestyle="none", zorder=4)


def _frame(axes: Axes, series: Sequence[Series]) -> None:
    """Set the axes that panels share: whole rounds, and AUC from the lowest, at most 0.4, to 1."""
    rounds = sorted({round_index for one in series for round_index in one.rounds} or {0})
    lows = [point.low for one in series for regime in one.points.values() for point in regime.values()]
    around = 0.6 if len(rounds) > 1 else 1.5
    right = max(around, VERDICT + 0.26) if any(one.decisive for one in series) else around
    axes.set_xlim(rounds[0] - around, rounds[-1] + right)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8) if len(rounds) > 1 else FixedLocator(rounds))
    axes.set_ylim(min(0.4, min((low for low in lows if not math.isnan(low)), default=0.4) - 0.06), 1.06)
