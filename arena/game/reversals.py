"""Reversals and circles: what no ranking of the players explains, on any scale."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from arena.game.payoff import ALPHA, Payoff


class Count(NamedTuple):
    """How many there are.

    Args:
        found: those in which every comparison is beyond its error.
        tried: all there are.
    """

    found: int
    tried: int


def rank_reversals(payoff: Payoff) -> Count:
    """4-cycles of two generators and two detectors, of which each detector finds another generator the easier one.

    A detector ranks two generators where the difference of their AUCs is clear of its error, which reckons with the
    images they share. Its level is Bonferroni's over all differences that are looked at: with probability 95% or more
    not one ranking is wrong, so not one reversal is either.
    """
    size = len(payoff.values)
    first, second = np.triu_indices(size, 1)
    detector = np.arange(size)
    one, other = (pair[:, None] * size + detector for pair in (first, second))  # (pairs, R) cells
    sign = _signs(payoff, one, other)
    found = (sign > 0).sum(axis=1) @ (sign < 0).sum(axis=1)
    return Count(int(found), len(first) * size * (size - 1) // 2)


def circular_triads(payoff: Payoff) -> Count:
    """Three rounds whose pairs (G, D) beat each other in a circle (Kendall & Babington Smith 1940).

    The pair of s beats that of t where D_s does better on G_t than D_t on G_s, beyond error; the level is Bonferroni's
    over all pairs of rounds.
    """
    size = len(payoff.values)
    first, second = np.triu_indices(size, 1)
    sign = _signs(payoff, second * size + first, first * size + second)
    beats = np.zeros((size, size), dtype=np.int64)
    beats[first[sign > 0], second[sign > 0]] = 1
    beats[second[sign < 0], first[sign < 0]] = 1
    return Count(int(np.trace(beats @ beats @ beats)) // 3, size * (size - 1) * (size - 2) // 6)


def _signs(payoff: Payoff, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Signs of the differences of cells, given in C order; 0 within error."""
    values, floor, covariance = payoff.values.ravel(), payoff.floor.ravel(), payoff.covariance
    variance = covariance[one, one] + covariance[other, other] - 2.0 * covariance[one, other]
    error = np.sqrt(np.clip(variance, 0.0, None) + floor[one] + floor[other])
    difference = values[one] - values[other]
    critical = norm.isf(ALPHA / 2 / max(difference.size, 1))
    return np.sign(difference).astype(np.int64) * (np.abs(difference) > critical * error)
