"""The instrument before controls of known outcome: z-scores, coverage, what is caught, and what it takes to pass."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import beta, norm

from arena.figures.axes import BAND, COLUMN, FAINT, INK, look
from arena.metrics.auc import FOLD_DEPENDENCE
from arena.studies.calibration.outcome import Outcome
from arena.studies.calibration.summary import CONFIDENCE, POWER, Null, Proportion, answered, found, nulls

OTHER = "#e69f00"  # of Okabe & Ito (2008), far lighter than ink
FEWEST = 20
"""Trials that make a quantile plot."""
SIMULATED = 2_000
"""Normal samples by which the band is made simultaneous."""
NETWORKS = "digits, cnn"
ARMS = ("digits", NETWORKS, "portraits")


def calibration(outcomes: Sequence[Outcome]) -> Figure:
    """Six panels, of which a study that has not come so far leaves some empty.

    Quantiles of z against the standard normal's, on digits and on portraits, in a band that a right instrument's line
    leaves with probability 5%; the deviation of z, and the share of 95% intervals that hold 1/2, by technique; planted
    artefacts caught, by amplitude; and what the oracle is found to be, by the number of judge reals.

    Args:
        outcomes: of the study.
    """
    shown = [line for line in outcomes if line.arm in ARMS and (line.arm != NETWORKS or line.technique == "cnn")]
    of_nulls, once = (nulls(shown, meetings) for meetings in (FOLD_DEPENDENCE, 1))
    with look():
        figure = Figure(figsize=(3.1 * COLUMN, 2.5 * COLUMN), layout="constrained")
        (digits, spread, coverage), (portraits, planted, power) = figure.subplots(2, 3)
        for axes, letter, arm in ((digits, "a", "digits"), (portraits, "d", "portraits")):
            axes.set_title(f"{letter}  z on {arm}")
            _quantiles(axes, *([its for its in some if its.arm == arm] for some in (of_nulls, once)))
        spread.set_title("b  deviation of z")
        coverage.set_title("c  95% intervals hold 1/2")
        for place, (its, plain) in enumerate(zip(of_nulls, once, strict=True)):
            for null, shift, colour, mark in ((its, -0.15, INK, "o"), (plain, 0.15, OTHER, "s")):
                row, held = place + shift, null.holding
                spread.plot(null.deviation_interval, (row, row), color=colour, linewidth=1.0)
                spread.plot(null.deviation, row, color=colour, marker=mark, markersize=3.5)
                coverage.plot((held.low, held.high), (row, row), color=colour, linewidth=1.0)
                coverage.plot(held.value, row, color=colour, marker=mark, markersize=3.5)
        for axes, right in ((spread, 1.0), (coverage, CONFIDENCE)):
            axes.axvline(right, color=FAINT, linewidth=0.8, zorder=0)
            axes.set_ylim(len(of_nulls) - 0.5, -0.5)
            axes.tick_params(axis="y", length=0)
        labels = [f"{its.technique}, {its.arm.split(',')[0]}" for its in of_nulls]
        spread.set_yticks(range(len(labels)), labels, fontsize=6.5)
        spread.set_xlabel("with 95% intervals; 1 is right")
        coverage.set_yticks([])
        coverage.set_xlabel("share of splits")
        planted.set_title("e  up-sampling trace, portraits")
        _caught(planted, [its for its in outcomes if (its.arm, its.artefact) == ("portraits", "upsampling_trace")])
        power.set_title("f  oracle, by judge reals")
        _power(power, [line for line in outcomes if line.arm.endswith(POWER)])
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
    low, high = (np.asarray(norm.ppf(beta.ppf(level, rank, n + 1 - rank))) for level in (local, 1 - local))
    return low, high


def _quantiles(axes: Axes, of_nulls: Sequence[Null], once: Sequence[Null]) -> None:
    """Quantiles of z over those of a standard normal: every technique thin, their mean bold."""
    axes.set_xlabel("standard normal quantile")
    axes.set_ylabel("z = (AUC − 1/2) / error")
    trials = min((len(its.z) for its in of_nulls), default=0)
    if trials < FEWEST:
        return
    place = (np.arange(1, trials + 1) - 0.5) / trials
    expected = norm.ppf(place)
    axes.fill_between(expected, *band(trials), color=BAND, linewidth=0)
    axes.plot(expected, expected, color=FAINT, linewidth=0.8)
    for its in of_nulls:
        axes.plot(expected, _at(place, its), color=INK, linewidth=0.35)
    for some, colour, dash, label in ((once, OTHER, "--", "folds independent"), (of_nulls, INK, "-", "the verdict's")):
        mean = np.mean([_at(place, its) for its in some], axis=0)
        axes.plot(expected, mean, color=colour, linestyle=dash, linewidth=1.8, label=f"error: {label}")
    axes.legend(loc="upper left", fontsize=7, handlelength=2.5, title=f"{trials} splits", alignment="left")


def _at(place: NDArray[np.float64], its: Null) -> NDArray[np.float64]:
    return np.quantile(its.z, place, method="hazen")


def _caught(axes: Axes, outcomes: Sequence[Outcome]) -> None:
    """How often a trace of up-sampling is caught at all, and by how many techniques, by amplitude."""
    if not outcomes:
        return
    amplitudes = sorted({line.amplitude for line in outcomes})
    at = [[line for line in outcomes if line.amplitude == k] for k in amplitudes]
    _shares(axes, amplitudes, "trials caught", [answered(lines, "caught") for lines in at], OTHER, "s", "--")
    _shares(axes, amplitudes, "techniques caught it", [found(lines, "caught") for lines in at], INK, "o", "-")
    axes.set_xscale("log", base=2)
    axes.set_xticks(amplitudes, [str(k) for k in amplitudes])
    axes.set_xlabel("amplitude, grey levels of 256")
    axes.legend(loc="upper left")


def _power(axes: Axes, outcomes: Sequence[Outcome]) -> None:
    """What share of techniques the oracle passes, and of trials all of them, by judge reals."""
    if not outcomes:
        return
    reals = sorted({line.n_real for line in outcomes})
    at = [[line for line in outcomes if line.n_real == n] for n in reals]
    _shares(axes, reals, "trials passed all", [answered(lines, "passes_all") for lines in at], OTHER, "s", "--")
    _shares(axes, reals, "techniques passed", [found(lines, "passes") for lines in at], INK, "o", "-")
    axes.set_xscale("log")
    axes.set_xticks(reals, [str(n) for n in reals], rotation=45)
    axes.minorticks_off()
    axes.set_xlabel("judge reals")
    axes.legend(loc="upper left")


def _shares(
    axes: Axes, at: Sequence[int], label: str, shares: Sequence[Proportion], colour: str, mark: str, dash: str
) -> None:
    """Shares joined; of trials, which are independent as techniques of one trial are not, with their intervals."""
    of_trials = colour == OTHER
    places = [k * (0.97 if of_trials else 1.03) for k in at]
    values = [share.value for share in shares]
    axes.plot(places, values, color=colour, marker=mark, linestyle=dash, linewidth=1.0, label=label)
    for place, share in zip(places, shares, strict=True) if of_trials else ():
        axes.plot((place, place), (share.low, share.high), color=colour, linewidth=1.0)
    axes.set_ylabel("share (of trials with 95% interval)")
    axes.set_ylim(-0.03, 1.3)  # the legend stands above
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
