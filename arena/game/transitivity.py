"""Transitivity: how much of a game is a ranking, and how much is who meets whom."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from arena.game.payoff import Matrix, Payoff

_ROUNDING = 1e-12


class Share(NamedTuple):
    """A share of a sum of squares, beside what noise puts there.

    Args:
        value: the share as measured, NaN where there is nothing to share.
        floor: the share expected there of the images' errors alone, were the true one 0; at most 1, where they alone
            would make all the squares there are.
        p: how often those errors would make it as large.
    """

    value: float
    floor: float
    p: float


class TwoWay(NamedTuple):
    """An additive fit: ``mean + generators[:, None] + detectors + interaction``, the four orthogonal."""

    mean: Matrix
    generators: Matrix
    detectors: Matrix
    interaction: Matrix


class Hodge(NamedTuple):
    """An antisymmetric game as the gradient of a rating plus what goes round in circles."""

    rating: Matrix
    rotation: Matrix


@dataclass(frozen=True)
class Transitivity:
    """The parts of one technique's game.

    Args:
        generators: share of the squares that one rating of the generators explains: some are harder for all detectors.
        detectors: share that one rating of the detectors explains.
        interaction: the rest: certain detectors on certain generators. 1 less this is the transitive share. It says
            specialisation, not yet cycles: detectors that know just what came up to their round, at AUC 1, and nothing
            later, at 0, make a third of it. A rank reversal is not made so.
        cyclic: share of rotation in the game of whole pairs (see ``pairs``). Where every later pair beats every earlier
            one by as much no rating fits exactly, and rotation is (R - 2) / 3R; circular triads are then 0.
    """

    generators: float
    detectors: float
    interaction: Share
    cyclic: Share


def transitivity(payoff: Payoff) -> Transitivity:
    """Split the game both ways, with the noise floor from the covariance of the cells."""
    fit, size = two_way(payoff.values), len(payoff.values)
    rows, columns = size * _squares(fit.generators), size * _squares(fit.detectors)
    rest = _squares(fit.interaction)
    total = rows + columns + rest
    of_noise = np.square(two_way(payoff.noise).interaction).sum(axis=(-2, -1))
    game = pairs(payoff.values)
    turning = np.square(hodge(pairs(payoff.noise)).rotation).sum(axis=(-2, -1))
    return Transitivity(
        generators=_over(rows, total),
        detectors=_over(columns, total),
        interaction=_share(rest, total, of_noise),
        cyclic=_share(_squares(hodge(game).rotation), _squares(game), turning),
    )


def two_way(matrix: Matrix) -> TwoWay:
    """Least squares fit of row and column effects: the Hodge split of a bipartite game (Jiang et al. 2011).

    Args:
        matrix: (..., G, D) payoffs: one game or many.

    Returns:
        Mean (...), row effects (..., G) and column effects (..., D), each of mean 0, and the rest (..., G, D).
    """
    mean = matrix.mean(axis=(-2, -1))
    rows = matrix.mean(axis=-1) - mean[..., None]
    columns = matrix.mean(axis=-2) - mean[..., None]
    rest = matrix - mean[..., None, None] - rows[..., :, None] - columns[..., None, :]
    return TwoWay(mean, rows, columns, rest)


def hodge(game: Matrix) -> Hodge:
    """A = grad(div A) + rot(A), orthogonal, div(rot A) = 0 (Balduzzi et al. 2018).

    Args:
        game: (..., R, R) antisymmetric: what i wins against j.

    Returns:
        Rating div(A)_i = mean_j A_ij, (..., R), and rotation (..., R, R), which no rating explains.
    """
    rating = game.mean(axis=-1)
    return Hodge(rating, game - (rating[..., :, None] - rating[..., None, :]))


def pairs(auc: Matrix) -> Matrix:
    """The game between the pairs (G_s, D_s): [s, t] = P[t, s] - P[s, t], antisymmetric.

    What the detector of round s makes of the fakes of t, less what that of t makes of the fakes of s. Snapshots of one
    training were let play such tournaments by Olsson et al. (2018). Where each side gets better at everything, later
    pairs win.

    Args:
        auc: (..., R, R) payoffs [generator, detector].
    """
    return np.swapaxes(auc, -1, -2) - auc


def _share(part: float, total: float, of_noise: Matrix) -> Share:
    part = part if part > _ROUNDING * total else 0.0
    p = (float((of_noise >= part).sum()) + 1.0) / (len(of_noise) + 1.0)
    return Share(_over(part, total), min(1.0, _over(float(of_noise.mean()), total)), p)


def _over(part: float, total: float) -> float:
    return part / total if total > 0.0 else np.nan


def _squares(values: Matrix) -> float:
    return float(np.square(values).sum())
