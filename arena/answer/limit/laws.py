"""Fit saturating laws to a curve of detectability."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root_scalar
from scipy.stats import t

from arena.metrics.interval import Interval

Family = Literal["exponential", "power law"]
FAMILIES: tuple[Family, ...] = ("exponential", "power law")

LEAST_SEEN = 1 / 3
"""Least share of the whole change that the points must hold. Shapes of less are not tried; where the curve moves and
this one is not refuted, those are not either, and there is no limit to name."""

_SHAPES = 96
# The fastest shape has 2% of its change left at the second point: beyond, only the first point would tell.
_FASTEST = 4.0


def shape(family: Family, decay: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The f of a law at each x for each decay: (K, X), from 1 at x = 0 to 0 at infinity."""
    along = x if family == "exponential" else np.log1p(x)
    return np.exp(-decay[:, None] * along)


class Shapes(NamedTuple):
    """The decays (K,) of each family; and f (3 K, R) of both families and of an exponential run backwards.

    The last speeds up as it goes: it has no asymptote, but where it fits best the others have none to name.
    """

    decays: tuple[NDArray[np.float64], ...]
    f: NDArray[np.float64]


def shapes(x: NDArray[np.float64]) -> Shapes:
    """From ``LEAST_SEEN`` of the change within the points to ``_FASTEST``."""
    along = [x if family == "exponential" else np.log1p(x) for family in FAMILIES]
    decays = tuple(np.geomspace(-np.log1p(-LEAST_SEEN) / it[-1], _FASTEST / it[1], _SHAPES) for it in along)
    forwards = [shape(family, decay, x) for family, decay in zip(FAMILIES, decays, strict=True)]
    return Shapes(decays, np.concatenate([*forwards, shape("exponential", decays[0], x[-1] - x)]))


class ParameterGrid(NamedTuple):
    """The shapes tried of one family with the fit of each, arrays (K,): from the slowest shape to the fastest.

    ``decay`` is the rate of f in 1/x, or the exponent; then a, b, their variances and covariance, and the squared error
    of the points in units of theirs.
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
        """Least and greatest value at each x that a shape allows with that squared error; inf, -inf if none does."""
        f = shape(self.family, self.decay, x)
        room = np.sqrt(np.maximum(most - self.error, 0.0))[:, None]
        half = room * np.sqrt(self.var_a[:, None] + 2 * f * self.cov_ab[:, None] + f**2 * self.var_b[:, None])
        value, fits = self.a[:, None] + self.b[:, None] * f, (self.bounded <= most)[:, None]
        low = np.where(fits, np.clip(value - half, 0.0, 1.0), np.inf).min(axis=0)
        high = np.where(fits, np.clip(value + half, 0.0, 1.0), -np.inf).max(axis=0)
        return low, high

    @property
    def bounded(self) -> NDArray[np.float64]:
        """Squared error of each shape with the asymptote held to what an AUC can be."""
        return self.error + (self.a - np.clip(self.a, 0.0, 1.0)) ** 2 / self.var_a


@dataclass(frozen=True)
class Law:
    """The best fit of one family: ``a + b * f(x)``, f = exp(-decay * x) or (1 + x) ** -decay.

    ``drops_out`` says that it fits significantly worse than the other family, and has no part in the interval.
    """

    family: Family
    a: float
    b: float
    decay: float
    drops_out: bool

    def at(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The law at x, counted from the first point."""
        return self.a + self.b * shape(self.family, np.array([self.decay]), x)[0]


def linear(
    f: NDArray[np.float64], y: NDArray[np.float64], white: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Generalised least squares of y on (1, f), for each f (K, R): a, b, var a, var b, cov ab and the squared error."""
    ones, target, slopes = white.sum(axis=1), white @ y, f @ white.T
    oo, of, ff = ones @ ones, slopes @ ones, (slopes**2).sum(axis=1)
    oy, fy = ones @ target, slopes @ target
    det = oo * ff - of**2
    a, b = (ff * oy - of * fy) / det, (oo * fy - of * oy) / det
    error = ((target - a[:, None] * ones - b[:, None] * slopes) ** 2).sum(axis=1)
    return a, b, ff / det, oo / det, -of / det, error


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
        asymptote: that of the best law, with its 95% interval. Where the curve shows no trend, its mean. None where it
            is not identifiable.
        reason: why it is not identifiable, in words; otherwise empty.
        wobble: standard deviation between points, beyond the covariance of the curve.
        laws: the best of each family; empty where there are too few points.
        grids: the shapes tried of each family.
        most: largest squared error that the interval allows.
    """

    asymptote: Interval | None
    reason: str
    wobble: float = 0.0
    laws: tuple[Law, ...] = ()
    grids: tuple[ParameterGrid, ...] = ()
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
        return Saturation(None, f"{len(x)} points, where it takes {FEWEST}")
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
    return Saturation(None if reason else Interval(asymptote, low, high), reason, wobble, laws, grids, most)


def _fit(tried: Shapes, y: NDArray[np.float64], white: NDArray[np.float64]) -> tuple[tuple[ParameterGrid, ...], float]:
    """The fit of every shape of both families; and the squared error of the best that speeds up."""
    fits = [np.split(part, 3) for part in linear(tried.f, y, white)]
    grids = tuple(
        ParameterGrid(family, decay, *(part[number] for part in fits))
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


def _best(grid: ParameterGrid, error: NDArray[np.float64], most: float) -> Law:
    k = int(error.argmin())
    return Law(grid.family, float(grid.a[k]), float(grid.b[k]), float(grid.decay[k]), bool(error[k] > most))
