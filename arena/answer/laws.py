"""Fit saturating laws to a curve of detectability, and find its asymptote.

The laws are of the separation d' = sqrt(2) * probit(AUC): the distance, in standard deviations, of two normal
distributions with that AUC (Green & Swets 1966). Near 0 and 1 an AUC hardly moves while d' does, and a test set tells
little of either. Points there are left out.

A law is ``a + b * f(x)``, where x is counted from the first point and f falls from 1 to 0. It falls exponentially, as
``exp(-decay * x)``, or by a power, as ``(1 + x) ** -decay``. For each decay of a grid a and b follow from generalised
least squares. The interval of the asymptote a is that of the profile likelihood over the grids of both families.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root_scalar
from scipy.stats import norm, t

from arena.metrics.interval import Interval

Family = Literal["exponential", "power law"]
FAMILIES: tuple[Family, ...] = ("exponential", "power law")

FEWEST = 6
"""Fewest points: three parameters, and as many again to tell how well they are known."""
LEAST_SEEN = 1 / 3
"""Least share of the whole change that the points must hold. Slower shapes are not tried. A curve that moves and does
not refute the slowest shape does not refute those either, and then has no limit to name."""
PINNED = 0.97
"""AUC from which, and below the complement of which, a point is left out. No limit may lie beyond it either."""
WIDEST = 0.2
"""Widest interval that is still reported, in AUC."""
WIDEST_SEPARATION = 1.2
"""Widest interval that is still reported, in d'. At an AUC of 0.9 that is 0.16 in AUC."""
LEAST_EXTRA_SD = 0.015
"""Standard deviation, in d', between rounds that no test image shows. A few points often show none by luck."""
ALPHA = 0.05
"""Two-sided level of the interval and of every test here."""

_PARAMETERS = 3
_SHAPES = 96
# The fastest shape has 2% of its change left at the second point. A faster one would depend on the first point alone.
_FASTEST = 4.0


def separation(auc: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return d', which is 0 at an AUC of 1/2 and negative below.

    >>> separation(np.array([0.5, 0.9])).round(3)
    array([0.   , 1.812])
    """
    return np.sqrt(2.0) * norm.ppf(auc)


def auc_of(separation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the AUC of two normal distributions with that d'."""
    return norm.cdf(separation / np.sqrt(2.0))


def unpinned(y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the points after the last pinned one.

    A point before it says as little: which points lie just below ``PINNED`` there is chance.
    """
    pinned = np.flatnonzero((y >= PINNED) | (y <= 1 - PINNED))
    return np.arange(pinned[-1] + 1 if len(pinned) else 0, len(y))


def shape(family: Family, decay: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the f of a law at each x for each decay: (K, X), from 1 at x = 0 to 0 at infinity.

    >>> shape("power law", np.array([1.0]), np.array([0.0, 1.0, 3.0]))
    array([[1.  , 0.5 , 0.25]])
    """
    along = x if family == "exponential" else np.log1p(x)
    return np.exp(-decay[:, None] * along)


class Shapes(NamedTuple):
    """The decays (K,) of each family, and f (3 K, R) of both families and of an exponential run backwards.

    The last one accelerates. It has no asymptote, and where it fits best no asymptote is named.
    """

    decays: tuple[NDArray[np.float64], ...]
    f: NDArray[np.float64]


def shapes(x: NDArray[np.float64]) -> Shapes:
    """Return the shapes tried, from ``LEAST_SEEN`` of the change within the points to ``_FASTEST``."""
    along = [x if family == "exponential" else np.log1p(x) for family in FAMILIES]
    decays = tuple(np.geomspace(-np.log1p(-LEAST_SEEN) / it[-1], _FASTEST / it[1], _SHAPES) for it in along)
    forwards = [shape(family, decay, x) for family, decay in zip(FAMILIES, decays, strict=True)]
    return Shapes(decays, np.concatenate([*forwards, shape("exponential", decays[0], x[-1] - x)]))


class ParameterGrid(NamedTuple):
    """The fit of every shape of one family, arrays (K,) from the slowest shape to the fastest.

    ``decay`` is the rate of f in 1/x, or the exponent. a and b are in d'. ``var_a``, ``var_b`` and ``cov_ab`` are their
    variances and their covariance. ``error`` is the squared error of the points in units of theirs.
    """

    family: Family
    decay: NDArray[np.float64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    var_a: NDArray[np.float64]
    var_b: NDArray[np.float64]
    cov_ab: NDArray[np.float64]
    error: NDArray[np.float64]

    def allowed(self, x: NDArray[np.float64], most: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the least and the greatest d' at each x within the squared error ``most``; inf, -inf if none."""
        f = shape(self.family, self.decay, x)
        room = np.sqrt(np.maximum(most - self.error, 0.0))[:, None]
        half = room * np.sqrt(self.var_a[:, None] + 2 * f * self.cov_ab[:, None] + f**2 * self.var_b[:, None])
        value, fits = self.a[:, None] + self.b[:, None] * f, (self.error <= most)[:, None]
        low = np.where(fits, value - half, np.inf).min(axis=0)
        high = np.where(fits, value + half, -np.inf).max(axis=0)
        return low, high


@dataclass(frozen=True)
class Law:
    """The best fit of one family: d' is ``a + b * f(x)``.

    ``drops_out`` says that it fits significantly worse than the other family, and has no part in the interval.
    """

    family: Family
    a: float
    b: float
    decay: float
    drops_out: bool

    def at(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the AUC at x, counted from the first point fitted."""
        return auc_of(self.a + self.b * shape(self.family, np.array([self.decay]), x)[0])


@dataclass(frozen=True, eq=False)
class Saturation:
    """The laws fitted to a curve, and its asymptote.

    Args:
        asymptote: AUC of the best law, with its 95% interval. Where the curve shows no trend, that of its mean d'.
            None where it is not identifiable.
        reason: why it is not identifiable, in words. Empty where there is an asymptote.
        fitted: (K,) the x of the points fitted. Pinned ones are left out.
        extra_sd: standard deviation in d' between points beyond the covariance of the curve.
        laws: the best of each family. Empty where there are too few points.
        grids: the shapes tried of each family.
        most: largest squared error that the interval allows.
    """

    asymptote: Interval | None
    reason: str
    fitted: NDArray[np.float64]
    extra_sd: float = 0.0
    laws: tuple[Law, ...] = ()
    grids: tuple[ParameterGrid, ...] = ()
    most: float = 0.0

    def band(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the least and the greatest AUC that a law allows at each x from the first fitted (pointwise 95%)."""
        low, high = _ends(self.grids, x, self.most)
        return auc_of(low), auc_of(high)


def saturation(x: NDArray[np.float64], y: NDArray[np.float64], covariance: NDArray[np.float64]) -> Saturation:
    """Fit both families, and return the asymptote of the curve or the reason that it is not identifiable.

    Args:
        x: (R,) increasing. Only distances from the first count, and the asymptote is that of x without end.
        y: (R,) AUCs.
        covariance: (R, R) known part of their errors. Those of d' follow to first order.
    """
    kept = unpinned(y)
    x, auc, pinned = x[kept], y[kept], len(y) - len(kept)
    if len(x) < FEWEST:
        return Saturation(None, _too_few(y, len(x)), x)
    y = separation(auc)
    slope = np.sqrt(2.0) / norm.pdf(norm.ppf(auc))
    covariance = covariance[np.ix_(kept, kept)] * np.outer(slope, slope)
    tried = shapes(x - x[0])
    extra_sd = _extra_sd(tried, y, covariance)
    white = _whitening(covariance, extra_sd)
    grids, accelerating = _fit(tried, y, white)
    errors = [grid.error for grid in grids]
    least = float(min(error.min() for error in errors))
    room = float(t.isf(ALPHA / 2, len(x) - _PARAMETERS)) ** 2  # of the 95% profile-likelihood interval: F(1, n - 3)
    most = least + room
    low, high = (float(end[0]) for end in _ends(grids, np.array([np.inf]), most))
    ends = auc_of(np.array([low, high]))
    laws = []
    for grid, error in zip(grids, errors, strict=True):
        k = int(error.argmin())
        laws.append(Law(grid.family, float(grid.a[k]), float(grid.b[k]), float(grid.decay[k]), bool(error[k] > most)))
    ones, target = white.sum(axis=1), white @ y
    mean = float(ones @ target / (ones @ ones))
    flat = float(((target - mean * ones) ** 2).sum())
    # A shape that accelerates has no asymptote, and still counts as a trend if it fits better than the mean.
    moves = flat > min(least, accelerating) + room
    unsettled = min(error[0] for error in errors) <= most or accelerating <= least
    goes_on = _goes_on(x, tried, y, white, extra_sd)
    reason = _unidentifiable(y, unsettled=moves and unsettled, goes_on=goes_on, low=low, high=high)
    if reason and pinned:
        reason += f" ({_left_out(pinned)})"
    best = laws[int(np.argmin([error.min() for error in errors]))]
    limit = float(auc_of(np.clip(best.a if moves else mean, low, high)))
    return Saturation(
        None if reason else Interval(limit, *ends.tolist()), reason, x, extra_sd, tuple(laws), grids, most
    )


def _unidentifiable(y: NDArray[np.float64], *, unsettled: bool, goes_on: bool, low: float, high: float) -> str:
    """Return why a fit names no asymptote, "" if it names one.

    Args:
        y: (R,) d' of the points fitted.
        unsettled: whether the curve moves, and may have most of its change ahead.
        goes_on: whether no law that levels off fits.
        low: least asymptote that fits, in d'.
        high: the greatest.
    """
    ends = auc_of(np.array([low, high]))
    if unsettled:
        trend = "falling" if y[-3:].mean() < y[:3].mean() else "rising"
        return f"still {trend} at the last point: less than a third of the change may have been seen"
    if goes_on:
        return "no law that levels off fits: the curve turns, or goes on where the law has settled"
    fitting = f"any limit from {ends[0]:.2f} to {ends[1]:.2f} fits"
    if ends[1] > PINNED or ends[0] < 1 - PINNED:
        side = f"above {PINNED:g}" if ends[1] > PINNED else f"below {1 - PINNED:.2g}"
        return f"{fitting}, and {side} the AUC is pinned and tells none"
    if high - low > WIDEST_SEPARATION or np.ptp(ends) > WIDEST:
        return f"{fitting}, and the widest reported is {WIDEST:g} in AUC and {WIDEST_SEPARATION:g} in d'"
    return ""


def _ends(
    grids: Sequence[ParameterGrid], x: NDArray[np.float64], most: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least and the greatest d' at each x over all families."""
    ends = [grid.allowed(x, most) for grid in grids]
    return np.min([low for low, _ in ends], axis=0), np.max([high for _, high in ends], axis=0)


def _too_few(y: NDArray[np.float64], kept: int) -> str:
    pinned = len(y) - kept
    if pinned == 0:
        return f"{kept} points, at least {FEWEST} are needed"
    if kept == 0:
        side = f"above {PINNED:g}" if y[-1] > 0.5 else f"below {1 - PINNED:.2g}"
        return f"the last point is {side}, where the AUC is pinned and tells no limit"
    return f"{kept} points after the last pinned one, at least {FEWEST} are needed ({_left_out(pinned)})"


def _left_out(pinned: int) -> str:
    points = "the first point is" if pinned == 1 else f"the first {pinned} points are"
    return f"{points} left out, up to the last above {PINNED:g} or below {1 - PINNED:.2g}"


def _extra_sd(tried: Shapes, y: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """The least extra deviation with which the best shape of all misses the points no more than expected."""
    expected = len(y) - _PARAMETERS

    def excess(extra_sd: float) -> float:
        return float(_least_squares(tried.f, y, _whitening(covariance, extra_sd))[-1].min()) - expected

    if excess(LEAST_EXTRA_SD) <= 0:
        return LEAST_EXTRA_SD
    most = LEAST_EXTRA_SD + float(np.ptp(y)) * len(y)
    return float(root_scalar(excess, bracket=(LEAST_EXTRA_SD, most), method="brentq", xtol=1e-5).root)


def _whitening(covariance: NDArray[np.float64], extra_sd: float) -> NDArray[np.float64]:
    whole: NDArray[np.float64] = covariance + extra_sd**2 * np.eye(len(covariance))
    return np.linalg.inv(np.linalg.cholesky(whole)).astype(np.float64, copy=False)


def _least_squares(
    f: NDArray[np.float64], y: NDArray[np.float64], white: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Regress y on (1, f) for each f (K, R): a, b, var a, var b, cov ab and the squared error."""
    ones, target, slopes = white.sum(axis=1), white @ y, f @ white.T
    oo, of, ff = ones @ ones, slopes @ ones, (slopes**2).sum(axis=1)
    oy, fy = ones @ target, slopes @ target
    det = oo * ff - of**2
    a, b = (ff * oy - of * fy) / det, (oo * fy - of * oy) / det
    error = ((target - a[:, None] * ones - b[:, None] * slopes) ** 2).sum(axis=1)
    return a, b, ff / det, oo / det, -of / det, error


def _fit(tried: Shapes, y: NDArray[np.float64], white: NDArray[np.float64]) -> tuple[tuple[ParameterGrid, ...], float]:
    """The fit of every shape of both families, and the squared error of the best that accelerates."""
    fits = [np.split(part, 3) for part in _least_squares(tried.f, y, white)]
    grids = tuple(
        ParameterGrid(family, decay, *(part[number] for part in fits))
        for number, (family, decay) in enumerate(zip(FAMILIES, tried.decays, strict=True))
    )
    return grids, float(fits[-1][2].min())


def _goes_on(
    x: NDArray[np.float64], tried: Shapes, y: NDArray[np.float64], white: NDArray[np.float64], extra_sd: float
) -> bool:
    """Whether a straight line added to the best law improves it significantly, as it does where a curve turns."""
    saturating = tried.f[: -len(tried.decays[0])]
    plane, _ = np.linalg.qr(white @ np.stack([np.ones_like(x), x], axis=1))
    f, target = saturating @ white.T, white @ y
    f, target = f - (f @ plane) @ plane.T, target - plane @ (plane.T @ target)
    error = target @ target - (f @ target) ** 2 / (f**2).sum(axis=1)
    least, freedom = max(float(error.min()), 0.0), len(x) - _PARAMETERS - 1
    gain = float(_least_squares(saturating, y, white)[-1].min()) - least
    # The extra deviation was raised to the misfit of the laws. Here it is that of law and line, and never lowered.
    scale = least / freedom if extra_sd > LEAST_EXTRA_SD else 1.0
    return gain > float(t.isf(ALPHA / 2, freedom)) ** 2 * scale
