"""An AUC or a paired difference of AUCs, with its error.

Within one run the claim is about this generator: the error is of the test images (DeLong) and of the judges' seeds.
Over several runs it is about the recipe that made them: the error is of the runs, and of the reals they share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from arena.metrics.delong import Influence, combine, mean

_LEAST_VARIANCE = 1e-18


@dataclass(frozen=True)
class Estimate:
    """A value with its error.

    Args:
        value: the AUC or the difference.
        of_images: variance that falls with the number of test images.
        of_repeats: variance that falls with ``repeats``.
        df: degrees of freedom of the t bounds (Satterthwaite 1946).
        images: images tested in the smaller class, in one run.
        repeats: judges of the one run, or runs.
        runs: runs; 1 where ``repeats`` counts judges.
    """

    value: float
    of_images: float
    of_repeats: float
    df: float
    images: int
    repeats: int
    runs: int

    @property
    def error(self) -> float:
        """Standard error."""
        return float(np.sqrt(max(self.of_images + self.of_repeats, _LEAST_VARIANCE)))

    def low(self, alpha: float) -> float:
        """Lower bound at one-sided level ``1 - alpha``; two bounds at alpha / 2 make the usual interval."""
        return self.value - float(t.isf(alpha, self.df)) * self.error

    def high(self, alpha: float) -> float:
        """Upper bound at one-sided level ``1 - alpha``."""
        return self.value + float(t.isf(alpha, self.df)) * self.error

    def p_above(self, bound: float) -> float:
        """One-sided p of H0: the value is at most ``bound``."""
        return float(t.sf((self.value - bound) / self.error, self.df))

    def p_below(self, bound: float) -> float:
        """One-sided p of H0: the value is at least ``bound``."""
        return float(t.cdf((self.value - bound) / self.error, self.df))


def estimate(runs: Sequence[Sequence[Influence]]) -> Estimate:
    """The mean over judges and runs.

    Args:
        runs: for every run the influences of each judge (or of each paired difference of judges), the fakes of
            different runs under different bank numbers.

    Returns:
        One run: test images and judges' seeds. Two runs or more: t over runs, plus what all runs owe to the reals they
        share. (A percentile bootstrap of ten runs covers 89%, of twenty 93%.)
    """
    if len(runs) == 1:
        return _over_judges(runs[0])
    return _over_runs([mean(judges) for judges in runs])


def _over_judges(judges: Sequence[Influence]) -> Estimate:
    """DeLong's variance of the judge-averaged placements plus the variance between judges over their number."""
    together = mean(judges)
    of_images = together.variance
    of_judges = float(np.var([judge.value for judge in judges], ddof=1)) / len(judges) if len(judges) > 1 else 0.0
    images = min(len(together.real), len(together.fake))
    df = _satterthwaite((of_images, images - 1), (of_judges, len(judges) - 1))
    return Estimate(together.value, of_images, of_judges, df, images, len(judges), runs=1)


def _over_runs(runs: Sequence[Influence]) -> Estimate:
    """Runs that share reals are no independent draws: their variance over seeds lacks the mean covariance of two runs.

    With Var(A_r) = v and Cov(A_r, A_s) = c, the variance of the mean is E[s^2] / R + c, and c is the mean over pairs of
    runs of the summed products of a real's influences. Runs with other reals (another data seed) have c = 0.
    """
    values = np.array([run.value for run in runs])
    count = len(runs)
    total = combine(runs, [1.0] * count)
    squares = sum(float(run.real @ run.real + run.fake @ run.fake) for run in runs)
    shared = (float(total.real @ total.real + total.fake @ total.fake) - squares) / (count * (count - 1))
    of_images = max(shared, 0.0) + float(np.mean([run.floor for run in runs]))
    of_runs = float(values.var(ddof=1)) / count
    images = min(min(len(run.real), len(run.fake)) for run in runs)
    df = _satterthwaite((of_images, images - 1), (of_runs, count - 1))
    return Estimate(float(values.mean()), of_images, of_runs, df, images, count, count)


def _satterthwaite(*parts: tuple[float, int]) -> float:
    """Degrees of freedom of a sum of variances, each with its own."""
    total = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / freedom for variance, freedom in parts if freedom > 0 and variance > 0)
    return total**2 / spread if spread > 0 else float(max(freedom for _, freedom in parts))
