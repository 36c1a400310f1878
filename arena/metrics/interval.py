"""A value with its interval, and the upper bound of a ratio."""

import math
from typing import NamedTuple


class Interval(NamedTuple):
    """A value with the lower and the upper end of its interval."""

    value: float
    low: float
    high: float

    def clipped(self, least: float = 0.0, most: float = 1.0) -> "Interval":
        """Return the interval with its ends cut to ``[least, most]``. The value stays as it is.

        >>> Interval(0.98, 0.95, 1.01).clipped()
        Interval(value=0.98, low=0.95, high=1.0)
        """
        return Interval(self.value, max(least, self.low), min(most, self.high))

    def as_json(self, name: str) -> dict[str, float]:
        """Return the three numbers for a JSON object, the value under the key ``name``.

        >>> Interval(0.5, 0.4, 0.6).as_json("auc")
        {'auc': 0.5, 'low': 0.4, 'high': 0.6}
        """
        return {name: self.value, "low": self.low, "high": self.high}


def ratio_upper_bound(part: float, part_error: float, whole: float, whole_error: float, z: float) -> float:
    """Return the upper bound of ``part / whole``, two independent estimates with standard errors (Fieller 1954).

    Every larger multiple c of the whole exceeds the part by more than z errors of ``part - c * whole``. The bound is
    infinite where the whole is not above 0 by more than z errors, or where a figure is not a number.

    >>> round(ratio_upper_bound(0.0, 1.0, 100.0, 0.0, z=1.645), 5), ratio_upper_bound(1.0, 0.1, 1.0, 1.0, z=1.645)
    (0.01645, inf)
    """
    if not (whole > z * whole_error and math.isfinite(part + part_error)):
        return math.inf
    spread = (whole * part_error) ** 2 + (part * whole_error) ** 2 - (z * part_error * whole_error) ** 2
    return (part * whole + z * math.sqrt(spread)) / (whole**2 - (z * whole_error) ** 2)
