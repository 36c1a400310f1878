"""Estimate an AUC over judge seeds and runs, and the numbers of images and seeds that would decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy.stats import norm, t

from arena.metrics.auc import Influence, combine, mean
from arena.metrics.interval import Interval

_LEAST_VARIANCE = 1e-18


@dataclass(frozen=True)
class Estimate:
    """A value with its error.

    Args:
        value: the AUC or the difference.
        of_images: variance that falls with the number of test images.
        of_repeats: variance that falls with ``repeats``.
        df: degrees of freedom of the t bounds (Satterthwaite 1946).
        images: test images of the smaller class, in one run.
        repeats: judges of the one run, or runs.
        runs: number of runs. If it is 1, ``repeats`` counts judges.
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
        """Return the lower bound at one-sided level ``1 - alpha``."""
        return self.value - float(t.isf(alpha, self.df)) * self.error

    def high(self, alpha: float) -> float:
        """Return the upper bound at one-sided level ``1 - alpha``."""
        return self.value + float(t.isf(alpha, self.df)) * self.error

    def interval(self, tail: float = 0.025) -> Interval:
        """Return the value between its bounds at one-sided level ``1 - tail``. By default that is the 95% interval."""
        return Interval(self.value, self.low(tail), self.high(tail))

    def p_above(self, bound: float) -> float:
        """Return the one-sided p of H0: the value is at most ``bound``."""
        return float(t.sf((self.value - bound) / self.error, self.df))

    def p_below(self, bound: float) -> float:
        """Return the one-sided p of H0: the value is at least ``bound``."""
        return float(t.cdf((self.value - bound) / self.error, self.df))


def estimate(runs: Sequence[Sequence[Influence]]) -> Estimate:
    """Return the mean over judges and runs.

    The errors of one run are those of its test images and of its judges' seeds. Those of several are t over runs, plus
    the part that all runs owe to the reals they share. (A percentile bootstrap of ten runs covers 89%, of twenty 93%.)

    Args:
        runs: for every run the influences of each judge, or of each paired difference of judges. The fakes of
            different runs have different bank numbers.
    """
    if len(runs) == 1:
        return _over_judges(runs[0])
    return _over_runs([mean(judges) for judges in runs])


def mean_interval(values: Sequence[float], error: float) -> Interval:
    """Return the mean over runs with its 95% interval: Student's t over several runs, two standard errors of one.

    ``error`` is the standard error of the first value, used where it is the only one.
    """
    center, half = float(np.mean(values)), 2 * error
    if len(values) > 1:
        half = float(t.isf(0.025, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Interval(center, center - half, center + half)


def _over_judges(judges: Sequence[Influence]) -> Estimate:
    """DeLong's variance of the judge-averaged placements, plus the variance between judges over their number."""
    together = mean(judges)
    of_images = together.variance
    of_judges = float(np.var([judge.value for judge in judges], ddof=1)) / len(judges) if len(judges) > 1 else 0.0
    images = min(len(together.real), len(together.fake))
    df = _satterthwaite((of_images, images - 1), (of_judges, len(judges) - 1))
    return Estimate(together.value, of_images, of_judges, df, images, len(judges), runs=1)


def _over_runs(runs: Sequence[Influence]) -> Estimate:
    """Runs that share reals are not independent: their variance over seeds lacks the mean covariance of two runs.

    With Var(A_r) = v and Cov(A_r, A_s) = c, the variance of the mean is E[s^2] / R + c. The c is the mean over pairs of
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
    """Degrees of freedom of a sum of variances, each given with its own."""
    total = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / freedom for variance, freedom in parts if freedom > 0 and variance > 0)
    return total**2 / spread if spread > 0 else float(max(freedom for _, freedom in parts))


POWER = 0.8
"""Probability with which the number named decides, if the true AUC is the one measured."""
MOST = 10_000_000
"""A larger number says only that the AUC lies on the margin."""


@dataclass(frozen=True)
class Needed:
    """Numbers that would decide. If both are given, either alone does, or both ``together``.

    Args:
        images: test images of each class, or None where no number of images alone would do.
        repeats: judge seeds, or runs over runs. None where no number of them alone would do.
        together: whether both are needed at once.
    """

    images: int | None
    repeats: int | None
    together: bool


def needed(auc: Estimate, bound: float, alpha: float) -> Needed:
    """Return the numbers that would make an undecided AUC clear of ``bound`` with 80% power (normal approximation).

    ``alpha`` is one-sided.
    """
    gap = max(abs(bound - auc.value), 1e-6)
    allowed = (gap / float(norm.isf(alpha) + norm.ppf(POWER))) ** 2
    images = auc.images * auc.of_images / (allowed - auc.of_repeats) if allowed > auc.of_repeats else MOST
    repeats = auc.repeats * auc.of_repeats / (allowed - auc.of_images) if allowed > auc.of_images else MOST
    if min(images, repeats) < MOST:
        return Needed(
            _more(images, auc.images) if images < MOST else None,
            _more(repeats, auc.repeats) if repeats < MOST and auc.of_repeats > 0 else None,
            together=False,
        )
    scale = (auc.of_images + auc.of_repeats) / allowed
    return Needed(_more(scale * auc.images, auc.images), _more(scale * auc.repeats, auc.repeats), together=True)


def _more(number: float, had: int) -> int:
    return min(MOST, max(ceil(number), had + 1))


def in_words(numbers: Needed, runs: int, judges: str = "judge seeds") -> str:
    """Return the numbers in words. ``judges`` names the repeats within one run.

    >>> in_words(Needed(images=2431, repeats=12, together=False), runs=1)
    'about 2,400 test images of each class or about 12 judge seeds'
    """
    images = None if numbers.images is None else f"{_rounded(numbers.images)} test images of each class"
    repeats = None if numbers.repeats is None else f"{_rounded(numbers.repeats)} {'runs' if runs > 1 else judges}"
    return (" and " if numbers.together else " or ").join(part for part in (images, repeats) if part is not None)


def _rounded(number: int) -> str:
    """To two digits."""
    if number >= MOST:
        return f"more than {MOST:,}"
    return f"about {int(float(f'{number:.2g}')):,}" if number >= 100 else f"about {number}"
