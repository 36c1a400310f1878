"""Two saturating laws, and how every shape of each fits a curve.

A law is y(x) = a + b f(x), with b of either sign and f from 1 at the first point to 0 at infinity: the exponential
exp(-x / c), or the power law (1 + x)^(-c). Both have one shape parameter, here stated as the share of the whole change
that lies within the points observed, 1 - f(last x). For a given shape a and b are linear, so that shapes are tried on a
grid and everything else is closed form (generalised least squares; Seber & Wild 1989, on partially linear models).
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

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


class Grid(NamedTuple):
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
