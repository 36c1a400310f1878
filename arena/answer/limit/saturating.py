"""Where a curve levels off: the interval of asymptotes that two saturating laws allow, if it says anything.

The error of the points is not all known. Judges and images are in the covariance of the curve, but a generator's
responses differ too: a wobble, equal and independent in all points, is raised until the best law misses the points by
no more than it should (Paule & Mandel 1982). The interval is that of the profile likelihood (Venzon & Moolgavkar 1988)
with a quantile of Student's t for so few points: every asymptote some shape allows. So a family that fits
significantly worse drops out, and one that does not widens the interval.

No data tell a flat curve from one about to move, or a long way from a longer one. Hence the terms under which a number
is given, fixed beforehand, here and in ``LEAST_SEEN``; else the limit is "not identifiable".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root_scalar
from scipy.stats import t

from arena.answer.limit.laws import FAMILIES, Grid, Law, Shapes, linear, shapes

FEWEST = 6
"""Points that it takes: three parameters, and as many again to say how well they are known."""
WIDEST = 0.2
"""Widest interval that says where the limit is."""
LEAST_WOBBLE = 0.003
"""Standard deviation, in AUC, between rounds that no test image shows. A few points often show none by luck."""
ALPHA = 0.05
"""Two-sided, of the interval and of every test here."""

_PARAMETERS = 3


@dataclass(frozen=True, eq=False)
class Saturation:
    """The laws fitted to a curve, and where it levels off.

    Args:
        asymptote: of the law that fits best, or of a curve that shows no trend its mean; None, as are the bounds, where
            it is not identifiable.
        low: lower end of the 95% interval.
        high: upper end of the 95% interval.
        reason: why it is not identifiable, in words; otherwise empty.
        wobble: standard deviation between points, beyond the covariance of the curve.
        laws: the best of each family; empty where there are too few points.
        grids: the shapes tried of each family.
        most: largest squared error that the interval allows.
    """

    asymptote: float | None
    low: float | None
    high: float | None
    reason: str
    wobble: float = 0.0
    laws: tuple[Law, ...] = ()
    grids: tuple[Grid, ...] = ()
    most: float = 0.0

    def band(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Least and greatest value that a law allows at each x, counted from the first point (95%, for each x)."""
        ends = [grid.allowed(x, self.most) for grid in self.grids]
        return np.min([low for low, _ in ends], axis=0), np.max([high for _, high in ends], axis=0)


def saturation(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    covariance: NDArray[np.float64],
) -> Saturation:
    """Fit both families, and say where the curve levels off or why that is not identifiable.

    Args:
        x: (R,) increasing; only distances from the first count, and limit means x without end.
        y: (R,) AUCs.
        covariance: (R, R) of what is known of their errors.
    """
    if len(x) < FEWEST:
        return Saturation(None, None, None, f"{len(x)} points, where it takes {FEWEST}")
    tried = shapes(x - x[0])
    wobble = _wobble(tried, y, covariance)
    white = _whitening(covariance, wobble)
    grids, runaway = _fit(tried, y, white)
    errors = [grid.bounded for grid in grids]
    least = float(min(error.min() for error in errors))
    most = least + _quantile(len(x))
    ends = [grid.allowed(np.array([np.inf]), most) for grid in grids]
    low, high = float(min(end[0][0] for end in ends)), float(max(end[1][0] for end in ends))
    laws = tuple(_best(grid, error, most) for grid, error in zip(grids, errors, strict=True))
    mean, flat = _mean(y, white)
    # A shape that speeds up has no asymptote to speak of, but what it fits better is still a trend.
    moves = flat > min(least, runaway) + _quantile(len(x))
    unsettled = min(error[0] for error in errors) <= most or runaway <= least
    reason = ""
    if moves and unsettled:
        way = "falling" if y[-3:].mean() < y[:3].mean() else "rising"
        reason = f"still {way} at the last point: less than a third of its way may have been seen"
    elif _goes_on(x, tried, y, white, wobble):
        reason = "no law that levels off fits: the curve turns, or goes on where the law has settled"
    elif high - low > WIDEST:
        reason = f"any limit from {low:.2f} to {high:.2f} fits: wider than {WIDEST:g} says nothing"
    best = laws[int(np.argmin([error.min() for error in errors]))]
    asymptote = float(np.clip(best.a if moves else mean, low, high))
    found = (None, None, None) if reason else (asymptote, low, high)
    return Saturation(*found, reason, wobble, laws, grids, most)


def _fit(tried: Shapes, y: NDArray[np.float64], white: NDArray[np.float64]) -> tuple[tuple[Grid, ...], float]:
    """The fit of every shape of both families; and the squared error of the best that speeds up."""
    fits = [np.split(part, 3) for part in linear(tried.f, y, white)]
    grids = tuple(
        Grid(family, decay, *(part[number] for part in fits))
        for number, (family, decay) in enumerate(zip(FAMILIES, tried.decays, strict=True))
    )
    return grids, float(fits[-1][2].min())


def _mean(y: NDArray[np.float64], white: NDArray[np.float64]) -> tuple[float, float]:
    """The mean of a curve without any trend, and its squared error."""
    ones, target = white.sum(axis=1), white @ y
    mean = float(ones @ target / (ones @ ones))
    return mean, float(((target - mean * ones) ** 2).sum())


def _goes_on(
    x: NDArray[np.float64], tried: Shapes, y: NDArray[np.float64], white: NDArray[np.float64], wobble: float
) -> bool:
    """Whether a straight line beside the best law improves on it significantly, as it does where a curve turns back."""
    saturating = tried.f[: -len(tried.decays[0])]
    plane, _ = np.linalg.qr(white @ np.stack([np.ones_like(x), x], axis=1))
    f, target = saturating @ white.T, white @ y
    f, target = f - (f @ plane) @ plane.T, target - plane @ (plane.T @ target)
    error = target @ target - (f @ target) ** 2 / (f**2).sum(axis=1)
    least, freedom = max(float(error.min()), 0.0), len(x) - _PARAMETERS - 1
    gain = float(linear(saturating, y, white)[-1].min()) - least
    # The wobble was raised to what the laws miss, and is here what they and the line miss; never less than declared.
    scale = least / freedom if wobble > LEAST_WOBBLE else 1.0
    return gain > float(t.isf(ALPHA / 2, freedom)) ** 2 * scale


def _wobble(tried: Shapes, y: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """The least with which the best shape, speeding up or levelling off, is no further off than it should be."""
    due = len(y) - _PARAMETERS

    def excess(wobble: float) -> float:
        return float(linear(tried.f, y, _whitening(covariance, wobble))[-1].min()) - due

    if excess(LEAST_WOBBLE) <= 0:
        return LEAST_WOBBLE
    most = LEAST_WOBBLE + float(np.ptp(y)) * len(y)
    return float(root_scalar(excess, bracket=(LEAST_WOBBLE, most), method="brentq", xtol=1e-5).root)


def _whitening(covariance: NDArray[np.float64], wobble: float) -> NDArray[np.float64]:
    whole: NDArray[np.float64] = covariance + wobble**2 * np.eye(len(covariance))
    return np.linalg.inv(np.linalg.cholesky(whole)).astype(np.float64, copy=False)


def _quantile(points: int) -> float:
    """How much more squared error than the best has what is still allowed, at 95%: the F quantile of 1 and n - 3."""
    return float(t.isf(ALPHA / 2, points - _PARAMETERS)) ** 2


def _best(grid: Grid, error: NDArray[np.float64], most: float) -> Law:
    k = int(error.argmin())
    return Law(grid.family, float(grid.a[k]), float(grid.b[k]), float(grid.decay[k]), bool(error[k] > most))
