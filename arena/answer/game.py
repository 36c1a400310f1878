"""The game of a run, technique by technique: its value, and whether the race progresses or cycles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from arena.answer.equilibrium import Exploitability, equilibrium, last_pair
from arena.answer.payoff import ALPHA, Matrix, Payoff, read_payoff
from arena.metrics.interval import Interval
from arena.records.schema import Record, ScoreRecord

_ROUNDING = 1e-12


class VarianceShare(NamedTuple):
    """A share of a sum of squares, beside the part of it that noise makes.

    Args:
        value: the share as measured, NaN where the sum is 0.
        floor: the share expected from the errors of the images alone, at most 1.
    """

    value: float
    floor: float


class TwoWay(NamedTuple):
    """An additive fit ``mean + generators[:, None] + detectors + interaction`` of orthogonal parts."""

    generators: Matrix
    detectors: Matrix
    interaction: Matrix


class Hodge(NamedTuple):
    """An antisymmetric game, split into the gradient of a rating and a rotation."""

    rating: Matrix
    rotation: Matrix


@dataclass(frozen=True)
class Transitivity:
    """The parts of one technique's game.

    Args:
        interaction: share of the squares that neither a rating of the generators nor one of the detectors explains:
            certain detectors on certain generators. 1 less this is the transitive share. Interaction is
            specialisation, and need not be a cycle: detectors with AUC 1 on fakes up to their round and 0 on later
            ones make a third of it. They make no rank reversal.
        cyclic: share of rotation in the game of whole pairs (see ``pairs``). If every later pair beats every earlier
            one by as much, no rating fits exactly, and rotation is (R - 2) / 3R without any circular triad.
    """

    interaction: VarianceShare
    cyclic: VarianceShare


def transitivity(payoff: Payoff) -> Transitivity:
    """Split the game into its additive part and into rating and rotation, each share with its noise floor."""
    fit, size = two_way(payoff.values), len(payoff.values)
    rows, columns = size * _squares(fit.generators), size * _squares(fit.detectors)
    rest = _squares(fit.interaction)
    total = rows + columns + rest
    of_noise = np.square(two_way(payoff.noise).interaction).sum(axis=(-2, -1))
    game = pairs(payoff.values)
    turning = np.square(hodge(pairs(payoff.noise)).rotation).sum(axis=(-2, -1))
    return Transitivity(
        interaction=_share(rest, total, of_noise),
        cyclic=_share(_squares(hodge(game).rotation), _squares(game), turning),
    )


def two_way(matrix: Matrix) -> TwoWay:
    """Fit row and column effects by least squares: the Hodge split of a bipartite game (Jiang et al. 2011).

    Args:
        matrix: (..., G, D) payoffs of one game or of many.

    Returns:
        Row effects (..., G) and column effects (..., D), each of mean 0, and the rest (..., G, D).

    >>> two_way(np.array([[1.0, 0.0], [0.0, 1.0]])).interaction
    array([[ 0.5, -0.5],
           [-0.5,  0.5]])
    """
    mean = matrix.mean(axis=(-2, -1))
    rows = matrix.mean(axis=-1) - mean[..., None]
    columns = matrix.mean(axis=-2) - mean[..., None]
    rest = matrix - mean[..., None, None] - rows[..., :, None] - columns[..., None, :]
    return TwoWay(rows, columns, rest)


def hodge(game: Matrix) -> Hodge:
    """Split A = grad(div A) + rot(A), which are orthogonal, with div(rot A) = 0 (Balduzzi et al. 2018).

    Args:
        game: (..., R, R) antisymmetric, the gain of i against j.

    Returns:
        Rating div(A)_i = mean_j A_ij, (..., R), and rotation (..., R, R), which no rating explains.

    >>> rock_paper_scissors = np.array([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]])
    >>> hodge(rock_paper_scissors).rating
    array([0., 0., 0.])
    """
    rating = game.mean(axis=-1)
    return Hodge(rating, game - (rating[..., :, None] - rating[..., None, :]))


def pairs(auc: Matrix) -> Matrix:
    """Return the antisymmetric game between the pairs (G_s, D_s): [s, t] = P[t, s] - P[s, t].

    It is the AUC of the detector of round s on the fakes of t, less that of the detector of t on the fakes of s. Olsson
    et al. (2018) let snapshots of one training play such tournaments. If both sides get better at everything, later
    pairs win.

    Args:
        auc: (..., R, R) payoffs [generator, detector].
    """
    return np.swapaxes(auc, -1, -2) - auc


def _share(part: float, total: float, of_noise: Matrix) -> VarianceShare:
    part = part if part > _ROUNDING * total else 0.0
    return VarianceShare(_over(part, total), min(1.0, _over(float(of_noise.mean()), total)))


def _over(part: float, total: float) -> float:
    return part / total if total > 0.0 else np.nan


def _squares(values: Matrix) -> float:
    return float(np.square(values).sum())


class EventCount(NamedTuple):
    """A number of events.

    Args:
        clear: events of which every comparison is beyond its error.
        possible: all that could be.
    """

    clear: int
    possible: int


def rank_reversals(payoff: Payoff) -> EventCount:
    """Count 4-cycles of two generators and two detectors in which each detector ranks the generators the other way.

    A detector ranks two generators where the difference of their AUCs exceeds its error, which takes account of shared
    images. The level is Bonferroni's over all differences: with probability 95% or more no ranking is wrong, and so no
    reversal.
    """
    size = len(payoff.values)
    first, second = np.triu_indices(size, 1)
    detector = np.arange(size)
    one, other = (pair[:, None] * size + detector for pair in (first, second))  # (pairs, R) cells
    sign = _signs(payoff, one, other)
    clear = (sign > 0).sum(axis=1) @ (sign < 0).sum(axis=1)
    return EventCount(int(clear), len(first) * size * (size - 1) // 2)


def circular_triads(payoff: Payoff) -> EventCount:
    """Count triples of rounds whose pairs (G, D) beat each other in a circle (Kendall & Babington Smith 1940).

    The pair of s beats that of t where D_s does better on G_t than D_t on G_s, beyond error. The level is Bonferroni's
    over all pairs of rounds.
    """
    size = len(payoff.values)
    first, second = np.triu_indices(size, 1)
    sign = _signs(payoff, second * size + first, first * size + second)
    beats = np.zeros((size, size), dtype=np.int64)
    beats[first[sign > 0], second[sign > 0]] = 1
    beats[second[sign < 0], first[sign < 0]] = 1
    return EventCount(int(np.trace(beats @ beats @ beats)) // 3, size * (size - 1) * (size - 2) // 6)


def _signs(payoff: Payoff, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Signs of the differences of cells, given in C order. A sign is 0 within error."""
    values, floor, covariance = payoff.values.ravel(), payoff.floor.ravel(), payoff.covariance
    variance = covariance[one, one] + covariance[other, other] - 2.0 * covariance[one, other]
    error = np.sqrt(np.clip(variance, 0.0, None) + floor[one] + floor[other])
    difference = values[one] - values[other]
    critical = norm.isf(ALPHA / 2 / max(difference.size, 1))
    return np.sign(difference).astype(np.int64) * (np.abs(difference) > critical * error)


@dataclass(frozen=True)
class Memory:
    """Memory of the players of round t > 0, from the payoff matrix P[g, d], with 95% intervals.

    Args:
        forgetting: mean over s < t of P[s, s] - P[s, t]: how much worse the detector of round t is on the fakes of
            every earlier round than the detector of that round was. Negative where it has become better.
        generator_memory: mean over s < t of P[t, s]: AUC of earlier detectors on the fakes of round t. Low where the
            generator still passes what it once passed. 1 where it has only moved on.
    """

    forgetting: Interval
    generator_memory: Interval


def memory(payoff: Payoff) -> Memory | None:
    """Return the memory of the last round, or None where it is the first.

    Both figures are linear in the cells, so their intervals are exact to first order.
    """
    t = len(payoff.values) - 1
    if t == 0:
        return None
    cell = np.eye(payoff.values.size).reshape(*payoff.values.shape, *payoff.values.shape)
    forgetting: Matrix = np.mean([cell[s, s] - cell[s, t] for s in range(t)], axis=0)
    return Memory(
        forgetting=payoff.linear(forgetting),
        generator_memory=payoff.linear(np.mean([cell[t, s] for s in range(t)], axis=0), low=0.0),
    )


@dataclass(frozen=True, eq=False)
class Game:
    """The figures of one technique's payoff matrix.

    Args:
        auc: (R, R) payoffs [generator, detector].
        value: AUC at equilibrium. Its interval keeps the equilibrium's strategies fixed, which is right to first order
            if there is only one (Mills 1956).
        last_pair: exploitability of the last round's generator and detector.
        memory: of the last round. None where it is the first.
        transitivity: shares of interaction and rotation.
        reversals: rank reversals.
        circles: circular triads.
    """

    auc: Matrix
    value: Interval
    last_pair: Exploitability
    memory: Memory | None
    transitivity: Transitivity
    reversals: EventCount
    circles: EventCount


def game(run: Path, records: Sequence[Record]) -> dict[str, Game]:
    """Return technique -> its game, in order of first record. Techniques without a complete round are left out."""
    names = dict.fromkeys(record.technique for record in records if isinstance(record, ScoreRecord))
    payoffs = {name: read_payoff(run, records, name) for name in names}
    return {name: solve(payoff) for name, payoff in payoffs.items() if payoff is not None}


def solve(payoff: Payoff) -> Game:
    """Return the figures of one technique's game."""
    solved = equilibrium(payoff.values)
    return Game(
        auc=payoff.values,
        value=payoff.linear(np.outer(solved.generators, solved.detectors), low=0.0),
        last_pair=last_pair(payoff),
        memory=memory(payoff),
        transitivity=transitivity(payoff),
        reversals=rank_reversals(payoff),
        circles=circular_triads(payoff),
    )
