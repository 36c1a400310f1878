"""A value with its interval."""

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
