"""The probability with which a perfect generator passes: the power of a race's verdict.

A perfect generator forges images of the reals' own distribution. Every technique then has a true AUC of 1/2 and gains
nothing from more data. It passes if three upper bounds of every technique are low enough: of its AUC, of its gain from
twice the data, and of the AUC of its detector in the loop. Guards of the images and fitness on planted artefacts are
left out. They hold for real images in almost every race.
"""

from bisect import bisect_left
from dataclasses import dataclass

from scipy.stats import norm

from arena.metrics.auc import FOLD_DEPENDENCE

MOST = 1_000_000


@dataclass(frozen=True)
class Spread:
    """Error of a figure under the null, in units of the error that DeLong's formula gives one judge.

    Args:
        claimed: mean standard error that its estimate states.
        true: its standard deviation over splits of the reals. It is smaller, since the reals' part is counted twice
            for cross-fitting (``FOLD_DEPENDENCE``).
    """

    claimed: float
    true: float

    def passes(self, bound: float, error: float, alpha: float) -> float:
        """Return the probability that the figure, 0 in truth, has its upper bound at level ``alpha`` below ``bound``.

        ``error`` is the unit.
        """
        return float(norm.cdf((bound / error - norm.isf(alpha) * self.claimed) / self.true))


OF_AUC, OF_GAIN = Spread(claimed=0.69, true=0.60), Spread(claimed=0.53, true=0.43)
"""Means over the techniques of the default battery in 100 splits of the digits, with real images as fakes.

They are those of the defaults, where the last round adds judges (``errors.csv`` of ``experiments/calibration``). With
``judge.more_seeds=0`` the errors are larger and fewer races pass.
"""
OF_LOOP = Spread(claimed=1.0, true=1.0)
"""A detector in the loop is not cross-fitted, and its unit counts the reals once."""


def null_error(reals: int, fakes: int, dependence: float = 1.0) -> float:
    """Return the standard error of one detector at chance, by DeLong's formula.

    Args:
        reals: that test.
        fakes: that test.
        dependence: factor on the variance that reals contribute.
    """
    return (dependence / (12 * reals) + 1 / (12 * fakes)) ** 0.5


def judge_error(reals: int, fakes: int) -> float:
    """Return the standard error of a cross-fitted judge at chance: its reals count ``FOLD_DEPENDENCE`` times."""
    return null_error(reals, fakes, FOLD_DEPENDENCE)


def power(*, reals: int, fakes: int, techniques: int, margin: float, alpha: float) -> float:
    """Return the probability with which a perfect generator passes all techniques.

    The variance of an AUC of 1/2 is 1 / (12 reals) + 1 / (12 fakes) for one detector (DeLong et al. 1988). The reals
    count twice for cross-fitted judges. Techniques count as independent, which is nearly so under the null.

    Args:
        reals: that test.
        fakes: that test.
        techniques: that must all be passed.
        margin: e of the equivalence test.
        alpha: one-sided level of each test.

    >>> round(power(reals=1900, fakes=10_000, techniques=5, margin=0.05, alpha=0.05), 2)
    1.0
    >>> round(power(reals=540, fakes=1024, techniques=5, margin=0.05, alpha=0.05), 2)
    0.27
    """
    judge_se, loop_se = judge_error(reals, fakes), null_error(reals, fakes)
    each = OF_AUC.passes(margin, judge_se, alpha) * OF_GAIN.passes(margin / 2, judge_se, alpha)
    return (each * OF_LOOP.passes(margin, loop_se, alpha)) ** techniques


def reals_needed(wanted: float, *, fakes: int, techniques: int, margin: float, alpha: float) -> int:
    """Return the fewest test reals for a power of ``wanted``, or ``MOST`` where no number of reals is enough."""

    def reached(reals: int) -> float:
        return power(reals=reals, fakes=fakes, techniques=techniques, margin=margin, alpha=alpha)

    return bisect_left(range(MOST), wanted, lo=1, key=reached)
