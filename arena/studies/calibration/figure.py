"""Draw the calibration study: z-scores, coverage, caught artefacts, and the power of the oracle."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import beta, norm

from arena.figures.axes import BAND, COLUMN, FAINT, INK, look
from arena.metrics.auc import FOLD_DEPENDENCE
from arena.studies.calibration.summary import (
    CONFIDENCE,
    NullDistribution,
    null_distributions,
    share_of_answers,
    share_of_findings,
)
from arena.studies.calibration.trials import DEFAULTS, POWER, Outcome

OTHER = "#e69f00"  # of Okabe & Ito (2008), far lighter than ink
FEWEST = 20
"""Fewest trials of a quantile plot."""
SIMULATED = 2_000
"""Normal samples that calibrate the simultaneous band."""
NETWORKS = "digits, cnn"
ARMS = {
    "digits": "digits",
    NETWORKS: "digits",
    f"digits {DEFAULTS}": "digits, race",
    "portraits": "portraits",
    f"portraits {DEFAULTS}": "portraits, race",
}
"""Arms of panels b and c, and their labels. Those at the defaults have the budgets of a race."""


def calibration(outcomes: Sequence[Outcome]) -> Figure:
    """Draw six panels. Panels of trials that are still to come stay empty.

    a, d: quantiles of z against those of the standard normal, on digits and on portraits, with a simultaneous 95% band.
    b, c: standard deviation of z and coverage of 95% intervals, by technique. e: caught planted artefacts, by
    amplitude. f: answers for the oracle, by number of judge reals.

    Args:
        outcomes: of the study.
    """
    shown = [
        line for arm in ARMS for line in outcomes if line.arm == arm and (arm != NETWORKS or line.technique == "cnn")
    ]
    dependent, independent = (null_distributions(shown, factor) for factor in (FOLD_DEPENDENCE, 1))
    with look():
        figure = Figure(figsize=(3.1 * COLUMN, 2.5 * COLUMN), layout="constrained")
        (digits, spread, coverage), (portraits, planted, power) = figure.subplots(2, 3)
        for axes, letter, arm in ((digits, "a", "digits"), (portraits, "d", "portraits")):
            axes.set_title(f"{letter}  z on {arm}")
            _quantiles(axes, *([null for null in nulls if null.arm == arm] for nulls in (dependent, independent)))
        spread.set_title("b  deviation of z")
        coverage.set_title("c  95% intervals hold 1/2")
        for place, pair in enumerate(zip(dependent, independent, strict=True)):
            for null, shift, colour, mark in zip(pair, (-0.15, 0.15), (INK, OTHER), "os", strict=True):
                row, held = place + shift, null.holding
                spread.plot(null.deviation_interval, (row, row), color=colour, linewidth=1.0)
                spread.plot(null.deviation, row, color=colour, marker=mark, markersize=3.5)
                coverage.plot((held.low, held.high), (row, row), color=colour, linewidth=1.0)
                coverage.plot(held.value, row, color=colour, marker=mark, markersize=3.5)
        for axes, right in ((spread, 1.0), (coverage, CONFIDENCE)):
            axes.axvline(right, color=FAINT, linewidth=0.8, zorder=0)
            axes.set_ylim(max(len(dependent), 1) - 0.5, -0.5)
            axes.tick_params(axis="y", length=0)
        labels = [f"{null.technique}, {ARMS[null.arm]}" for null in dependent]
        spread.set_yticks(range(len(labels)), labels, fontsize=5.5)
        spread.set_xlabel("with 95% intervals; 1 is right")
        coverage.set_yticks([])
        coverage.set_xlabel("share of splits")
        traces = [line for line in outcomes if (line.arm, line.artefact) == ("portraits", "upsampling_trace")]
        planted.set_title("e  up-sampling trace, portraits")
        _shares(
            planted,
            {k: [line for line in traces if line.amplitude == k] for k in sorted({line.amplitude for line in traces})},
            ("caught", "trials caught"),
            ("caught", "techniques caught it"),
            "amplitude, grey levels of 256",
        )
        reals = [line for line in outcomes if line.arm.endswith(POWER)]
        power.set_title("f  oracle, by judge reals")
        _shares(
            power,
            {n: [line for line in reals if line.n_real == n] for n in sorted({line.n_real for line in reals})},
            ("passes_all", "trials passed all"),
            ("passes", "techniques passed"),
            "judge reals",
        )
        power.tick_params(axis="x", rotation=45)
    return figure


def band(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper edges (n,) of a 95% band of n sorted standard normals, simultaneous over all n.

    Its local levels are equal (Aldor-Noiman, Brown, Buja, Rolke & Stine 2013).
    """
    rank = np.arange(1, n + 1)
    uniforms = np.sort(np.random.default_rng(0).random((SIMULATED, n)), axis=1)
    tail = beta.cdf(uniforms, rank, n + 1 - rank)
    local = np.quantile(np.minimum(tail, 1 - tail).min(axis=1), 1 - CONFIDENCE)
    low, high = (np.asarray(norm.ppf(beta.ppf(level, rank, n + 1 - rank))) for level in (local, 1 - local))
    return low, high


def _quantiles(axes: Axes, dependent: Sequence[NullDistribution], independent: Sequence[NullDistribution]) -> None:
    """Draw quantiles of z over those of a standard normal: thin lines for techniques, bold lines for their means."""
    axes.set_xlabel("standard normal quantile")
    axes.set_ylabel("z = (AUC − 1/2) / error")
    trials = min((len(null.z) for null in dependent), default=0)
    if trials < FEWEST:
        return
    place = (np.arange(1, trials + 1) - 0.5) / trials
    expected = norm.ppf(place)
    axes.fill_between(expected, *band(trials), color=BAND, linewidth=0)
    axes.plot(expected, expected, color=FAINT, linewidth=0.8)
    for null in dependent:
        axes.plot(expected, np.quantile(null.z, place, method="hazen"), color=INK, linewidth=0.35)
    for nulls, colour, dash, label in (
        (independent, OTHER, "--", "folds independent"),
        (dependent, INK, "-", "the verdict's"),
    ):
        mean = np.mean([np.quantile(null.z, place, method="hazen") for null in nulls], axis=0)
        axes.plot(expected, mean, color=colour, linestyle=dash, linewidth=1.8, label=f"error: {label}")
    axes.legend(loc="upper left", fontsize=7, handlelength=2.5, title=f"{trials} splits", alignment="left")


def _shares(
    axes: Axes, groups: dict[int, list[Outcome]], trials: tuple[str, str], techniques: tuple[str, str], xlabel: str
) -> None:
    """Draw the share of trials with an answer, and of techniques with a finding, over a number.

    Only trials have intervals, since the techniques of one trial are not independent.

    Args:
        axes: of the panel.
        groups: outcomes by that number. None leave the panel empty.
        trials: answer and label.
        techniques: finding and label.
        xlabel: name of the number.
    """
    if not groups:
        return
    answers = [share_of_answers(lines, trials[0]) for lines in groups.values()]
    findings = [share_of_findings(lines, techniques[0]) for lines in groups.values()]
    for shares, label, shift, colour, mark, dash in (
        (answers, trials[1], 0.97, OTHER, "s", "--"),
        (findings, techniques[1], 1.03, INK, "o", "-"),
    ):
        places, values = [place * shift for place in groups], [share.value for share in shares]
        axes.plot(places, values, color=colour, marker=mark, linestyle=dash, linewidth=1.0, label=label)
        for place, share in zip(places, shares, strict=True) if shares is answers else ():
            axes.plot((place, place), (share.low, share.high), color=colour, linewidth=1.0)
    axes.set_ylabel("share (of trials with 95% interval)")
    axes.set_ylim(-0.03, 1.3)  # the legend stands above
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xscale("log")
    axes.set_xticks(list(groups), [str(place) for place in groups])
    axes.minorticks_off()
    axes.set_xlabel(xlabel)
    axes.legend(loc="upper left")
