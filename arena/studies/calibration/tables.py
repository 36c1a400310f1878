"""The tables of the study: what was expected and found, every technique before reals alone, and the power."""

from collections.abc import Sequence

import numpy as np

from arena.figures.tables import Table, yes
from arena.studies.calibration.outcome import Outcome
from arena.studies.calibration.summary import CONFIDENCE, POWER, answered, expectations, found, nulls


def expected_table(outcomes: Sequence[Outcome], alpha: float) -> Table:
    """One row a control."""
    rows = [
        [its.arm, its.control, its.expected, its.found, "" if its.holds is None else yes(its.holds)]
        for its in expectations(outcomes, alpha)
    ]
    return [["arm", "control", "expected", "found", "holds"], *rows]


def nulls_table(outcomes: Sequence[Outcome]) -> Table:
    """One row a technique and arm: its z-scores, and the coverage of its intervals with that share's 95% interval.

    The last three columns are of the errors there would be, were the folds independent.
    """
    header = ["arm", "technique", "trials", "mean z", "sd z", "KS p", "coverage", "low", "high", "agrees", "caught"]
    table = [[*header, "sd z, once", "KS p, once", "coverage, once"]]
    for its, once in zip(nulls(outcomes), nulls(outcomes, meetings=1), strict=True):
        held = its.holding
        row = [its.arm, its.technique, str(len(its.z)), f"{np.mean(its.z):.2f}", f"{its.deviation:.2f}", f"{its.p:.4f}"]
        row += [f"{held.value:.3f}", f"{held.low:.3f}", f"{held.high:.3f}", yes(held.agrees_with(CONFIDENCE))]
        row += [str(its.caught.count), f"{once.deviation:.2f}", f"{once.p:.4f}", f"{once.holding.value:.3f}"]
        table.append(row)
    return table


def power_table(outcomes: Sequence[Outcome]) -> Table:
    """One row a number of judge reals: what the oracle's trials answer, what its techniques are found to do.

    The median is of the number of test images of each class that the sentence of an undecided technique names.
    """
    table = [["judge reals", "fakes", "trials", "passes_all", "undecided", "caught", "techniques passed", "median n"]]
    lines = [line for line in outcomes if line.arm.endswith(POWER)]
    for n in sorted({line.n_real for line in lines}):
        at = [line for line in lines if line.n_real == n]
        named = [line.needed for line in at if line.needed]
        shares = [answered(at, answer) for answer in ("passes_all", "undecided", "caught")]
        median = f"{np.median(named):.0f}" if named else ""
        passed = found(at, "passes")
        row = [str(n), str(at[0].n_fake), str(shares[0].trials), *(str(its.count) for its in shares)]
        table.append([*row, f"{passed.value:.2f}", median])
    return table
