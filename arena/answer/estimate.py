"""Estimate an AUC over judge seeds and runs, and the numbers of images and seeds that would decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import NamedTuple

import numpy as np
from scipy.optimize import root_scalar
from scipy.special import ndtri, stdtrit
from scipy.stats import norm, t

from arena.metrics.auc import Influence, combine, mean
from arena.metrics.interval import Interval

_LEAST_VARIANCE = 1e-18
_SMALLEST = -700.0
"""Logarithm of the smallest p that is not 0."""


@dataclass(frozen=True)
class Estimate:
    """A value with its error.

    The repeats show their variance twice: by their spread, and by the errors that each has by itself. With few repeats
    the spread may be far too small by luck. A bound is therefore the wider one of two, one with each variance. Jackson
    et al. (2017) do so in meta-analysis. The first covers as stated for any true spread, and the wider one no less.
    Where repeats differ in nothing but those errors, 95% intervals of three runs cover about 97%.

    Each bound adds two variances of unequal degrees of freedom. Its quantile is their mean, weighted by variance
    (Cochran 1964). Satterthwaite's, with degrees of freedom that are themselves estimated, covers 92% where three runs
    share a tenth of their variance. The bounds of a share are Wilson's (1927), since its variance falls towards 0 and
    1. Symmetric bounds below an AUC of 0.9 cover 91 to 94% where they state 95%.

    Args:
        value: the AUC or the difference.
        of_images: variance that all repeats share, and that falls with the number of test images.
        of_repeats: variance that falls with ``repeats``, by their spread.
        df: degrees of freedom of ``of_repeats``.
        images: test images of the smaller class, in one run.
        repeats: judges of the one run, or runs.
        runs: number of runs. If it is 1, ``repeats`` counts judges.
        within: variance that falls with ``repeats``, by the errors that each of them has by itself.
        within_df: degrees of freedom of ``within``.
        share: whether the value is a share, such as an AUC, and no difference.
    """

    value: float
    of_images: float
    of_repeats: float
    df: float
    images: int
    repeats: int
    runs: int
    within: float = 0.0
    within_df: float = inf
    share: bool = False

    @property
    def error(self) -> float:
        """Standard error, by the larger variance of the repeats."""
        return float(np.sqrt(max(self.of_images + max(self.of_repeats, self.within), _LEAST_VARIANCE)))

    def low(self, alpha: float) -> float:
        """Return the lower bound at one-sided level ``1 - alpha``, with ``alpha`` below 1/2."""
        return self._bound(-self.reach(alpha))

    def high(self, alpha: float) -> float:
        """Return the upper bound at one-sided level ``1 - alpha``, with ``alpha`` below 1/2."""
        return self._bound(self.reach(alpha))

    def interval(self, tail: float = 0.025) -> Interval:
        """Return the value between its bounds at one-sided level ``1 - tail``. By default that is the 95% interval."""
        return Interval(self.value, self.low(tail), self.high(tail))

    def p_above(self, bound: float) -> float:
        """Return the one-sided p of H0: the value is at most ``bound``. ``low(p)`` is ``bound``."""
        return self._tail(self._distance(bound))

    def p_below(self, bound: float) -> float:
        """Return the one-sided p of H0: the value is at least ``bound``. ``high(p)`` is ``bound``."""
        return self._tail(-self._distance(bound))

    def reach(self, alpha: float) -> float:
        """Return the half-width of symmetric bounds at one-sided level ``1 - alpha``: quantile times error."""
        return max(self._reach(alpha, *repeats) for repeats in self._repeats)

    @property
    def _repeats(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The variance of the repeats by their spread and by their own errors, with degrees of freedom."""
        return (self.of_repeats, self.df), (self.within, self.within_df)

    def _reach(self, alpha: float, of_repeats: float, df: float) -> float:
        of_images = max(self.of_images, _LEAST_VARIANCE)
        weighted = of_images * _quantile(alpha, self.images - 1)
        if of_repeats > 0:
            weighted += of_repeats * _quantile(alpha, df)
        return weighted / float(np.sqrt(of_images + of_repeats))

    def _tail(self, distance: float) -> float:
        """Return the alpha at which bounds reach that far, the larger one of both."""
        if distance < 0:
            return 1.0 - self._tail(-distance)

        def beyond(exponent: float) -> float:
            return self.reach(float(np.exp(exponent))) - distance

        if beyond(_SMALLEST) <= 0:
            return 0.0
        return float(np.exp(root_scalar(beyond, bracket=(_SMALLEST, np.log(0.5)), xtol=1e-9).root))

    def _bound(self, reach: float) -> float:
        """Solve (value - bound)^2 = reach^2 * bound (1 - bound) / unit, the bound of a share (Wilson 1927).

        The unit is value (1 - value). Next to 0 and 1 it is the one with which the inner bound is symmetric, as
        ``floor_variance`` of ``arena.metrics.auc`` wants it.
        """
        if not self.share:
            return self.value + reach
        far = min(abs(reach), 1.0)
        unit = max(self.value * (1 - self.value), far * (1 - far), _LEAST_VARIANCE)
        ratio = reach**2 / unit
        half = np.sqrt(ratio * self.value * (1 - self.value) + ratio**2 / 4)
        return float((self.value + ratio / 2 + np.sign(reach) * half) / (1 + ratio))

    def _distance(self, bound: float) -> float:
        """Return the reach of symmetric bounds that puts a bound there, negative for a bound above the value."""
        gap = self.value - bound
        if not self.share or not 0 < bound < 1:
            return gap
        reach = gap * np.sqrt(self.value * (1 - self.value) / (bound * (1 - bound)))
        nearer = gap**2 / (bound * (1 - bound) + gap**2)  # with the other unit
        return float(np.sign(gap) * max(abs(reach), nearer))


def _quantile(alpha: float, df: float) -> float:
    """Return the value that Student's t exceeds with probability ``alpha``."""
    return float(-stdtrit(df, alpha)) if df < inf else float(-ndtri(alpha))


def estimate(runs: Sequence[Sequence[Influence]]) -> Estimate:
    """Return the mean over judges and runs.

    The repeats are the judges of one run, or several runs. They share test images: the judges of a run its reals and
    fakes, runs with one data seed their reals. (A percentile bootstrap of ten runs covers 89%, of twenty 93%.)

    Args:
        runs: for every run the influences of each judge, or of each paired difference of judges. The fakes of
            different runs have different bank numbers.
    """
    if len(runs) == 1:
        return _over_judges(runs[0])
    return _over_runs(runs)


class _Errors(NamedTuple):
    """Variances of a mean over repeats: shared by them, and averaged out with them by their own errors and by spread.

    ``images`` and ``repeats`` are their numbers, as in ``Estimate``.
    """

    shared: float
    own: float
    spread: float
    images: int
    repeats: int


def _errors(repeats: Sequence[Influence]) -> _Errors:
    """Divide the variance of a mean over repeats.

    With Var(A_r) = v and Cov(A_r, A_s) = c, the variance of the mean is c + (v - c) / R, and E[s^2] / R + c. The c is
    the mean over pairs of repeats of the summed products of an image's influences. It is 0 without images in common.
    The v of the images is the mean of the summed squares, and the s^2 shows what no image does besides.
    """
    count = len(repeats)
    images = max(min(min(len(each.real), len(each.fake)) for each in repeats), 2)
    floor = float(np.mean([each.floor for each in repeats]))
    total = combine(repeats, [1.0] * count)
    of_all = float(total.real @ total.real + total.fake @ total.fake)
    if count == 1:
        return _Errors(of_all + floor, 0.0, 0.0, images, count)
    squares = sum(float(each.real @ each.real + each.fake @ each.fake) for each in repeats)
    shared = max((of_all - squares) / (count * (count - 1)), 0.0)
    own = max(of_all / count**2 - shared, 0.0)
    spread = float(np.var([each.value for each in repeats], ddof=1)) / count
    return _Errors(shared + floor, own, spread, images, count)


def _over_judges(judges: Sequence[Influence]) -> Estimate:
    """Return the mean over the judges of one run, which share test reals and test fakes.

    Each judge seed has training fakes, validation fakes, folds and a stream of its own. Given the test images and the
    reals, judges are therefore independent draws, and their spread is that of real repetitions. The influences of a
    judge hold the judge as it is. Products of two judges estimate what the mean owes to test images. The rest of a
    judge's influences is its own reading of each image, which its spread contains too, so that it counts once.

    The reals that train a judge in one fold test it in another, for all seeds alike. ``FOLD_DEPENDENCE`` stands for
    that part.
    """
    errors = _errors(judges)
    return _joined(mean(judges), errors, errors.own, errors.images - 1, runs=1)


def _over_runs(runs: Sequence[Sequence[Influence]]) -> Estimate:
    """Random effects of runs, of which each has a known error by its fakes and judges (DerSimonian & Laird 1986).

    Runs that share reals are not independent. The reals' shared part stays beside both variances of the runs.

    Fakes of different runs count as independent, also where a finite source deals them. Intervals then speak of that
    source, and not of others like it.
    """
    means, of_runs = [mean(judges) for judges in runs], [_errors(judges) for judges in runs]
    errors = _errors(means)
    # A run's own error by its images is in ``errors.own``. Its judges may show by their spread that they add to it.
    beyond_images = float(np.mean([each.spread - each.own for each in of_runs])) / len(runs)
    of_judges = max(beyond_images, 0.0)
    judges = sum(each.repeats - 1 for each in of_runs)
    within_df = _satterthwaite((errors.own, errors.images - 1), (of_judges, judges))
    return _joined(mean(means), errors, errors.own + of_judges, within_df, len(runs))


def _joined(mean: Influence, errors: _Errors, within: float, within_df: float, runs: int) -> Estimate:
    return Estimate(
        value=mean.value,
        of_images=errors.shared,
        of_repeats=errors.spread,
        df=errors.repeats - 1,
        images=errors.images,
        repeats=errors.repeats,
        runs=runs,
        within=within,
        within_df=within_df,
        share=mean.share,
    )


def _satterthwaite(*parts: tuple[float, int]) -> float:
    """Degrees of freedom of a sum of variances, each given with its own."""
    total = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / freedom for variance, freedom in parts if freedom > 0 and variance > 0)
    return total**2 / spread if spread > 0 else float(max(freedom for _, freedom in parts))


def mean_interval(values: Sequence[float], errors: Sequence[float]) -> Interval:
    """Return the mean over runs with its 95% interval.

    It is two standard errors of one run. Over several runs it is Student's t, and no narrower than two standard errors
    of a mean of independent runs. ``errors`` are the standard errors of the values.
    """
    center, half = float(np.mean(values)), 2 * float(np.linalg.norm(errors)) / len(values)
    if len(values) > 1:
        by_spread = float(t.isf(0.025, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
        half = max(half, by_spread)
    return Interval(center, center - half, center + half)


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
    of_repeats = max(auc.of_repeats, auc.within)
    gap = max(abs(bound - auc.value), 1e-6)
    allowed = (gap / float(norm.isf(alpha) + norm.ppf(POWER))) ** 2
    images = auc.images * auc.of_images / (allowed - of_repeats) if allowed > of_repeats else MOST
    repeats = auc.repeats * of_repeats / (allowed - auc.of_images) if allowed > auc.of_images else MOST
    if min(images, repeats) < MOST:
        return Needed(
            _more(images, auc.images) if images < MOST else None,
            _more(repeats, auc.repeats) if repeats < MOST and of_repeats > 0 else None,
            together=False,
        )
    scale = (auc.of_images + of_repeats) / allowed
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
    """Return a number in words, to two digits."""
    if number >= MOST:
        return f"more than {MOST:,}"
    return f"about {int(float(f'{number:.2g}')):,}" if number >= 100 else f"about {number}"
