"""What many trials say together: are the z-scores standard normal, do the intervals hold, is the expected found?"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, chi2, kstest

from arena.metrics.auc import FOLD_DEPENDENCE
from arena.studies.calibration.outcome import Outcome

POWER = "judge reals"
"""How the name ends of an arm of the oracle's power: a study of its own, of too few trials for a distribution."""
CONFIDENCE = 0.95
"""Of the intervals under test."""
STRONG = "checkerboard"
"""The artefact that is planted to be caught in every trial; any other is planted to see how faint may be."""
SURE = 0.999
"""Of a bound that an instrument in order breaks by chance alone."""


@dataclass(frozen=True)
class Proportion:
    """How many of so many trials, with the exact 95% interval of the share (Clopper & Pearson 1934)."""

    count: int
    trials: int

    @property
    def value(self) -> float:
        """The share; of no trials it is no number."""
        return self.count / self.trials if self.trials else float("nan")

    @property
    def low(self) -> float:
        """Lower end."""
        return float(binomtest(self.count, self.trials).proportion_ci().low)

    @property
    def high(self) -> float:
        """Upper end."""
        return float(binomtest(self.count, self.trials).proportion_ci().high)

    def agrees_with(self, probability: float) -> bool:
        """Whether trials of that probability come out so far off, either way, no more rarely than ``1 - SURE``."""
        return bool(binomtest(self.count, self.trials, probability).pvalue >= 1 - SURE)

    def is_at_most(self, probability: float) -> bool:
        """Whether trials of that probability come out so often no more rarely than ``1 - SURE``."""
        return bool(binomtest(self.count, self.trials, probability, alternative="greater").pvalue >= 1 - SURE)

    def __str__(self) -> str:
        return f"{self.count} of {self.trials}"


@dataclass(frozen=True)
class Null:
    """One technique before reals alone, trial after trial, with errors of one kind.

    Args:
        arm: of the study.
        technique: its name.
        z: of every trial, ascending: AUC less 1/2, in standard errors.
        holding: trials whose 95% interval holds 1/2.
        caught: trials that caught it.
    """

    arm: str
    technique: str
    z: tuple[float, ...]
    holding: Proportion
    caught: Proportion

    @property
    def p(self) -> float:
        """Of a Kolmogorov-Smirnov test of z against the standard normal."""
        return float(kstest(self.z, "norm").pvalue)

    @property
    def deviation(self) -> float:
        """Of z; 1 is right."""
        return float(np.std(self.z, ddof=1))

    @property
    def deviation_interval(self) -> tuple[float, float]:
        """Its 95% interval, z being normal."""
        freedom = len(self.z) - 1
        low, high = chi2.interval(CONFIDENCE, freedom)
        return self.deviation * math.sqrt(freedom / high), self.deviation * math.sqrt(freedom / low)


def nulls(outcomes: Iterable[Outcome], meetings: float = FOLD_DEPENDENCE) -> list[Null]:
    """Every technique before the oracle, arm by arm but for those of its power; of one trial nothing can be said.

    Args:
        outcomes: of the study.
        meetings: 1 for the errors there would be, were the folds independent.
    """
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for line in outcomes:
        if line.control == "oracle" and not line.arm.endswith(POWER):
            groups.setdefault((line.arm, line.technique), []).append(line)
    return [
        Null(
            arm,
            technique,
            tuple(sorted(line.z(meetings) for line in lines)),
            Proportion(sum(line.holds_chance(CONFIDENCE, meetings) for line in lines), len(lines)),
            Proportion(sum(line.finding == "caught" for line in lines), len(lines)),
        )
        for (arm, technique), lines in groups.items()
        if len(lines) > 1
    ]


def answered(outcomes: Iterable[Outcome], answer: str) -> Proportion:
    """Trials with that answer."""
    answers = {(line.arm, line.control, line.artefact, line.amplitude, line.trial): line.answer for line in outcomes}
    return Proportion(sum(its == answer for its in answers.values()), len(answers))


def found(outcomes: Iterable[Outcome], finding: str) -> Proportion:
    """Findings of that kind among all, of every technique."""
    lines = list(outcomes)
    return Proportion(sum(line.finding == finding for line in lines), len(lines))


@dataclass(frozen=True)
class Expectation:
    """A control, what was expected of it, and what was found; ``holds`` is None where nothing was."""

    arm: str
    control: str
    expected: str
    found: str
    holds: bool | None


def expectations(outcomes: Sequence[Outcome], alpha: float) -> list[Expectation]:
    """Every control of the study with what it should have shown. Of a faint artefact nothing is expected.

    Args:
        outcomes: of the study.
        alpha: of the verdict, family-wise over a battery.
    """
    rows: list[Expectation] = []
    groups: dict[tuple[str, str, str, int], list[Outcome]] = {}
    for line in outcomes:
        groups.setdefault((line.arm, line.control, line.artefact, line.amplitude), []).append(line)
    for (arm, control, artefact, amplitude), lines in groups.items():
        caught, invalid = answered(lines, "caught"), answered(lines, "invalid")
        if control == "oracle":
            rows.append(Expectation(arm, control, f"caught at most {alpha:.0%}", str(caught), caught.is_at_most(alpha)))
        elif control == "copycat":
            rows.append(Expectation(arm, control, "invalid", str(invalid), invalid.count == invalid.trials))
        else:
            name = f"{artefact}, {amplitude} levels"
            must = artefact == STRONG
            holds = caught.count == caught.trials if must else None
            rows.append(Expectation(arm, name, "caught" if must else "", f"caught {caught}", holds))
    return rows
