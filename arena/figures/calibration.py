"""The instrument before controls of known outcome: z-scores, coverage, what is caught, and what it takes to pass."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import beta, norm

from arena.calibration.outcome import Outcome
from arena.calibration.summary import CONFIDENCE, Null, Share, answered, found, nulls
from arena.figures.style import BAND, COLUMN, FAINT, INK, look

# Okabe & Ito (2008), in an order that alternates light and dark; each with a mark and a dash of its own.
STROKES = (
    ("#0072b2", "o", "-"),
    ("#e69f00", "s", "--"),
    ("#00324e", "^", "-."),
    ("#cc79a7", "D", ":"),
    ("#d55e00", "v", (0, (5, 1, 1, 1, 1, 1))),
    ("#009e73", "P", (0, (3, 1))),
    ("#56b4e9", "X", (0, (1, 1))),
)
FEWEST = 50
"""Trials that make a quantile plot; an arm of fewer is in the panel of coverage alone."""
SIMULATED = 2_000
"""Normal samples by which the band is made simultaneous."""


def calibration(outcomes: Sequence[Outcome]) -> Figure:
    """Five panels, of which a study that has not come so far leaves some empty.

    Quantiles of z against the standard normal's, arm by arm, in a band that a right instrument's line leaves with
    probability 5%; the share of 95% intervals that hold 1/2; planted artefacts caught, by amplitude; and what the
    oracle is found to be, by the number of judge reals.

    Args:
        outcomes: of the study.
    """
    of_nulls = nulls(outcomes)
    techniques = sorted({line.technique for line in outcomes})
    stroke = {name: STROKES[k % len(STROKES)] for k, name in enumerate(techniques)}
    with look():
        figure = Figure(figsize=(3 * COLUMN, 2.1 * COLUMN), layout="constrained")
        (digits, portraits, coverage), (planted, power, legend) = figure.subplots(2, 3)
        for axes, arm in ((digits, "digits"), (portraits, "portraits")):
            _quantiles(axes, arm, [its for its in of_nulls if its.arm == arm], stroke)
        _coverage(coverage, [its for its in of_nulls if its.arm in ("digits", "digits, cnn", "portraits")])
        _caught(planted, [line for line in outcomes if line.artefact == "upsampling_trace"])
        _power(power, [line for line in outcomes if line.arm.endswith("judge reals")])
        legend.axis("off")
        handles = [
            legend.plot([], [], color=colour, linestyle=dash, marker=mark, label=name)[0]
            for name, (colour, mark, dash) in stroke.items()
        ]
        legend.legend(handles=handles, loc="center", title="technique (a, b)", handlelength=4)
    return figure


def band(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A band that n sorted standard normals leave anywhere with probability 5%.

    Its local levels are equal (Aldor-Noiman, Brown, Buja, Rolke & Stine 2013).

    Args:
        n: how many.

    Returns:
        Lower and upper edge of each, (n,).
    """
    rank = np.arange(1, n + 1)
    uniforms = np.sort(np.random.default_rng(0).random((SIMULATED, n)), axis=1)
    tail = beta.cdf(uniforms, rank, n + 1 - rank)
    local = np.quantile(np.minimum(tail, 1 - tail).min(axis=1), 1 - CONFIDENCE)
    return tuple(norm.ppf(beta.ppf(level, rank, n + 1 - rank)) for level in (local, 1 - local))


def _quantiles(axes: Axes, arm: str, of_nulls: Sequence[Null], stroke: dict[str, tuple[str, str, object]]) -> None:
    """Sorted z over where a standard normal's would lie."""
    trials = max((len(its.z) for its in of_nulls), default=0)
    axes.set_title(f"{'a' if arm == 'digits' else 'b'}  reals against reals, {arm}")
    axes.set_xlabel("standard normal quantile")
    axes.set_ylabel("z = (AUC − 1/2) / error")
    if trials < FEWEST:
        return
    expected = norm.ppf((np.arange(1, trials + 1) - 0.5) / trials)
    low, high = band(trials)
    axes.fill_between(expected, low, high, color=BAND, linewidth=0)
    axes.plot(expected, expected, color=FAINT, linewidth=0.8)
    for its in of_nulls:
        colour, _, dash = stroke[its.technique]
        place = norm.ppf((np.arange(1, len(its.z) + 1) - 0.5) / len(its.z))
        axes.plot(place, its.z, color=colour, linestyle=dash, linewidth=1.1)
    axes.set_xlim(expected[0] * 1.03, expected[-1] * 1.03)
    axes.text(
        0.03, 0.97, f"{trials} splits\nband: 95%, everywhere at once", transform=axes.transAxes, va="top", fontsize=7
    )


def _coverage(axes: Axes, of_nulls: Sequence[Null]) -> None:
    """The share of intervals that hold 1/2, each with its own interval."""
    axes.set_title("c  95% intervals that hold 1/2")
    labels = [f"{its.technique}, {its.arm.split(',')[0]}" for its in of_nulls]
    for row, its in enumerate(of_nulls):
        _with_interval(axes, its.holding, row, horizontal=True)
    axes.axvline(CONFIDENCE, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(labels)), labels, fontsize=6.5)
    axes.invert_yaxis()
    axes.set_xlabel("share of splits, with its 95% interval")


def _caught(axes: Axes, outcomes: Sequence[Outcome]) -> None:
    """How often a trace of up-sampling is caught, by amplitude."""
    axes.set_title("d  up-sampling trace caught")
    for (arm, colour, mark), shift in zip(
        (("digits", "#e69f00", "s"), ("portraits", "#00324e", "o")), (0.97, 1.03), strict=True
    ):
        lines = [line for line in outcomes if line.arm == arm]
        amplitudes = sorted({line.amplitude for line in lines})
        shares = [answered([line for line in lines if line.amplitude == k], "caught") for k in amplitudes]
        axes.plot([], [], color=colour, marker=mark, label=arm)
        axes.plot([shift * k for k in amplitudes], [share.value for share in shares], color=colour, linewidth=0.8)
        for amplitude, share in zip(amplitudes, shares, strict=True):
            _with_interval(axes, share, shift * amplitude, colour=colour, mark=mark)
    axes.set_xscale("log", base=2)
    axes.set_xticks(*[[1, 2, 4, 8, 16]] * 2)
    axes.set_xlabel("amplitude, grey levels (of 17; of 256)")
    axes.set_ylabel("share of trials")
    axes.set_ylim(-0.03, 1.03)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower right")


def _power(axes: Axes, outcomes: Sequence[Outcome]) -> None:
    """What share of techniques the oracle passes, and of trials all of them, by judge reals."""
    axes.set_title("e  the oracle passes, by judge reals")
    reals = sorted({line.n_real for line in outcomes})
    at = {n: [line for line in outcomes if line.n_real == n] for n in reals}
    for label, shares, colour, mark, dash, shift in (
        ("techniques passed", [found(at[n], "passes") for n in reals], "#00324e", "o", "-", 0.97),
        ("all passed", [answered(at[n], "passes_all") for n in reals], "#e69f00", "s", "--", 1.03),
    ):
        axes.plot(
            [shift * n for n in reals], [its.value for its in shares], color=colour, linestyle=dash, linewidth=0.8
        )
        axes.plot([], [], color=colour, marker=mark, linestyle=dash, label=label)
        for n, share in zip(reals, shares, strict=True):
            _with_interval(axes, share, shift * n, colour=colour, mark=mark)
    axes.set_xscale("log")
    axes.set_xticks(reals, [f"{n:,}" for n in reals])
    axes.minorticks_off()
    axes.set_xlabel("judge reals")
    axes.set_ylabel("share")
    axes.set_ylim(-0.03, 1.03)
    axes.legend(loc="upper left")


def _with_interval(
    axes: Axes, share: Share, place: float, *, colour: str = INK, mark: str = "o", horizontal: bool = False
) -> None:
    """A share as a mark, with its interval as a bar."""
    ends = ([share.low, share.high], [place, place])
    middle = ([share.value], [place])
    axes.plot(*(ends if horizontal else ends[::-1]), color=colour, linewidth=1.0)
    axes.plot(*(middle if horizontal else middle[::-1]), color=colour, marker=mark, linestyle="none")
