"""Rank reversals: which of two generators is easier to catch depends on who is asked."""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from arena.game.payoff import ALPHA, Payoff


class RankReversals(NamedTuple):
    """4-cycles of two generators and two detectors, of which each detector finds another generator the easier one.

    Args:
        found: those beyond error bars on both sides.
        tried: all there are.
    """

    found: int
    tried: int


def rank_reversals(payoff: Payoff) -> RankReversals:
    """Count them. No monotone change of scale makes or hides one, so they are what no ranking can explain.

    A detector ranks two generators where the difference of their AUCs is clear of its error, which reckons with the
    images they share. Its level is Bonferroni's over all differences that are looked at: with probability 95% or more
    not one ranking is wrong, so not one reversal is either.
    """
    size = len(payoff.values)
    first, second = np.triu_indices(size, 1)
    difference = payoff.values[first] - payoff.values[second]
    covariance = payoff.covariance.reshape(size, size, size, size)
    detector = np.arange(size)
    own = covariance[:, detector, :, detector].transpose(1, 2, 0)  # (g, g', d)
    variance = own[first, first] + own[second, second] - 2.0 * own[first, second]
    error = np.sqrt(np.clip(variance, 0.0, None) + payoff.floor[first] + payoff.floor[second])
    critical = norm.isf(ALPHA / 2 / max(difference.size, 1))
    above, below = difference > critical * error, difference < -critical * error
    found = above.sum(axis=1) @ below.sum(axis=1)
    return RankReversals(int(found), len(first) * size * (size - 1) // 2)
