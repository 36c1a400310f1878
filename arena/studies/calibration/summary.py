"""Summarise many trials: distributions of z, coverage of the intervals, expected and actual findings, as tables."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, chi2, kstest

from arena.answer.power import judge_error
from arena.figures.tables import Table, yes
from arena.metrics.auc import FOLD_DEPENDENCE
from arena.studies.calibration.trials import DEFAULTS, POWER, STRONG, Outcome

CONFIDENCE = 0.95
"""Level of the intervals under test."""
PASSING = 0.8
"""Least share of the oracle's trials that pass at the defaults."""
SURE = 0.999
"""Level of a bound that a correct instrument exceeds only by chance."""


@dataclass(frozen=True)
class Proportion:
    """A count among trials, with the exact 95% interval of the share (Clopper & Pearson 1934).

    >>> Proportion(5, 100).is_at_most(0.05), Proportion(25, 100).is_at_most(0.05)
    (True, False)
    """

    count: int
    trials: int

    @property
    def value(self) -> float:
        """The share. NaN without trials."""
        return self.count / self.trials if self.trials else float("nan")

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return float(binomtest(self.count, self.trials).proportion_ci().low)

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return float(binomtest(self.count, self.trials).proportion_ci().high)

    def agrees_with(self, probability: float) -> bool:
        """Return whether a two-sided binomial test at level ``1 - SURE`` accepts the probability."""
        return bool(binomtest(self.count, self.trials, probability).pvalue >= 1 - SURE)

    def is_at_most(self, probability: float) -> bool:
        """Return whether a one-sided binomial test at level ``1 - SURE`` accepts a probability this small."""
        return bool(binomtest(self.count, self.trials, probability, alternative="greater").pvalue >= 1 - SURE)

    def __str__(self) -> str:
        return f"{self.count} of {self.trials}"


@dataclass(frozen=True)
class NullDistribution:
    """Results of one technique in all trials on reals alone.

    Args:
        arm: of the study.
        technique: its name.
        z: AUC less 1/2 in standard errors, of every trial, ascending.
        holding: trials whose 95% interval contains 1/2.
        caught: trials that caught the technique.
    """

    arm: str
    technique: str
    z: tuple[float, ...]
    holding: Proportion
    caught: Proportion

    @property
    def p(self) -> float:
        """P value of a Kolmogorov-Smirnov test of z against the standard normal."""
        return float(kstest(self.z, "norm").pvalue)

    @property
    def deviation(self) -> float:
        """Standard deviation of z. A correct instrument has 1."""
        return float(np.std(self.z, ddof=1))

    @property
    def deviation_interval(self) -> tuple[float, float]:
        """95% interval of the deviation, for normal z."""
        freedom = len(self.z) - 1
        low, high = chi2.interval(CONFIDENCE, freedom)
        return self.deviation * math.sqrt(freedom / high), self.deviation * math.sqrt(freedom / low)


def null_distributions(outcomes: Iterable[Outcome], fold_dependence: float = FOLD_DEPENDENCE) -> list[NullDistribution]:
    """Group the oracle's trials by arm and technique. Arms of the power and single trials are left out.

    Args:
        outcomes: of the study.
        fold_dependence: 1 for the errors that independent folds would have.
    """
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for line in outcomes:
        if line.control == "oracle" and not line.arm.endswith(POWER):
            groups.setdefault((line.arm, line.technique), []).append(line)
    return [
        NullDistribution(
            arm,
            technique,
            tuple(sorted(line.z(fold_dependence) for line in lines)),
            Proportion(sum(line.holds_chance(CONFIDENCE, fold_dependence) for line in lines), len(lines)),
            Proportion(sum(line.finding == "caught" for line in lines), len(lines)),
        )
        for (arm, technique), lines in groups.items()
        if len(lines) > 1
    ]


def share_of_answers(outcomes: Iterable[Outcome], answer: str) -> Proportion:
    """Count the trials with that answer."""
    answers = {line.key: line.answer for line in outcomes}
    return Proportion(sum(given == answer for given in answers.values()), len(answers))


def share_of_findings(outcomes: Iterable[Outcome], finding: str) -> Proportion:
    """Count that finding among those of all techniques and trials."""
    findings = [line.finding for line in outcomes]
    return Proportion(findings.count(finding), len(findings))


# --- tables ----------------------------------------------------------------------------------------------------------


def expected_table(outcomes: Sequence[Outcome], alpha: float) -> Table:
    """Tabulate every control with its expected and its actual result, one row each. Faint artefacts have none.

    ``alpha`` is the family-wise level of the verdict over a battery.
    """
    table = [["arm", "control", "expected", "found", "holds"]]
    groups: dict[tuple[str, str, str, int], list[Outcome]] = {}
    for line in outcomes:
        groups.setdefault(line.key[:-1], []).append(line)
    for (arm, control, artefact, amplitude), lines in groups.items():
        caught, invalid = share_of_answers(lines, "caught"), share_of_answers(lines, "invalid")
        if control == "oracle" and arm.endswith(DEFAULTS):
            passed = share_of_answers(lines, "passes_all")
            enough = passed.agrees_with(PASSING) or passed.value > PASSING
            table.append([arm, control, f"passes_all at least {PASSING:.0%}", str(passed), yes(enough)])
        if control == "oracle":
            cells = [control, f"caught at most {alpha:.0%}", str(caught), yes(caught.is_at_most(alpha))]
        elif control == "copycat":
            cells = [control, "invalid", str(invalid), yes(invalid.count == invalid.trials)]
        elif artefact == STRONG:
            holds = caught.count == caught.trials
            cells = [f"{artefact}, {amplitude} levels", "caught", f"caught {caught}", yes(holds)]
        else:
            cells = [f"{artefact}, {amplitude} levels", "", f"caught {caught}", ""]
        table.append([arm, *cells])
    return table


def nulls_table(outcomes: Sequence[Outcome]) -> Table:
    """Tabulate z and coverage of every technique and arm, the coverage with its 95% interval.

    The last three columns use the errors that independent folds would have.
    """
    header = ["arm", "technique", "trials", "mean z", "sd z", "KS p", "coverage", "low", "high", "agrees", "caught"]
    table = [[*header, "sd z, once", "KS p, once", "coverage, once"]]
    independent = null_distributions(outcomes, fold_dependence=1)
    for null, once in zip(null_distributions(outcomes), independent, strict=True):
        held = null.holding
        row = [null.arm, null.technique, str(len(null.z))]
        row += [f"{np.mean(null.z):.2f}", f"{null.deviation:.2f}", f"{null.p:.4f}"]
        row += [f"{held.value:.3f}", f"{held.low:.3f}", f"{held.high:.3f}", yes(held.agrees_with(CONFIDENCE))]
        row += [str(null.caught.count), f"{once.deviation:.2f}", f"{once.p:.4f}", f"{once.holding.value:.3f}"]
        table.append(row)
    return table


def errors_table(outcomes: Sequence[Outcome]) -> Table:
    """Tabulate the errors of AUC and gain at the defaults, from which ``arena.answer.power`` predicts.

    Errors are in units of ``judge_error``. "claimed" is the mean error that a bound states, and "true" the standard
    deviation over trials. A last row has the means over techniques.
    """
    table = [["arm", "technique", "trials", "judges", "AUC claimed", "AUC true", "gain claimed", "gain true"]]
    arms: dict[str, dict[str, list[Outcome]]] = {}
    for line in outcomes:
        if line.control == "oracle" and line.arm.endswith(DEFAULTS):
            arms.setdefault(line.arm, {}).setdefault(line.technique, []).append(line)
    for arm, techniques in arms.items():
        of_arm = []
        for technique, lines in techniques.items():
            units = np.array([judge_error(line.n_real, line.n_fake) for line in lines])
            figures = []
            for errors, values in (
                ([line.error() for line in lines], [line.auc - 0.5 for line in lines]),
                ([line.gain_error for line in lines], [line.gain for line in lines]),
            ):
                true = np.std(values / units, ddof=1) if len(lines) > 1 else math.nan
                figures += [np.mean(errors / units), true]
            of_arm.append(figures)
            judges = np.mean([line.judges for line in lines])
            table.append([arm, technique, str(len(lines)), f"{judges:.1f}", *(f"{figure:.2f}" for figure in figures)])
        table.append([arm, "mean", "", "", *(f"{figure:.2f}" for figure in np.mean(of_arm, axis=0))])
    return table


def power_table(outcomes: Sequence[Outcome]) -> Table:
    """Tabulate answers and findings of the oracle by the number of judge reals.

    The median is that of the test images per class that undecided techniques ask for.
    """
    table = [["judge reals", "fakes", "trials", "passes_all", "undecided", "caught", "techniques passed", "median n"]]
    lines = [line for line in outcomes if line.arm.endswith(POWER)]
    for n in sorted({line.n_real for line in lines}):
        at = [line for line in lines if line.n_real == n]
        needed = [line.needed for line in at if line.needed]
        shares = [share_of_answers(at, answer) for answer in ("passes_all", "undecided", "caught")]
        median = f"{np.median(needed):.0f}" if needed else ""
        row = [str(n), str(at[0].n_fake), str(shares[0].trials), *(str(share.count) for share in shares)]
        table.append([*row, f"{share_of_findings(at, 'passes').value:.2f}", median])
    return table
