"""The equilibrium of a game, and how far a pair of players is from it.

At equilibrium the probabilities of each archived generator and detector are such that no opponent can exploit them. The
mixture of generators draws each fake from one of them at random. AUC is exactly linear in it: P(a fake scores above a
real) is the mean over the generators of the fake. AUC is also linear in the mixture of detectors, of which one judges
at random. It is not linear in an ensemble, which averages scores before it ranks and may catch fakes that no mixture
catches. So the value of the game is a lower bound on an ensemble of these detectors. It says nothing about players
outside the archive, which is the task of fresh judges.

Exploitability is the gain of the best responses out of the archive against a pair of players (the duality gap).
DG(x, y) = max_d (x P)_d - min_g (P y)_g is at least 0, and 0 exactly where neither side gains by changing (Nash). The
measure is that of Grnarova et al. (2019) for GANs. They train the best responses. Here they are taken from the archive,
so the gap is a lower bound of theirs.

The greatest of noisy cells exceeds the greatest of the true ones, so the measured gap is too large. The excess is at
most N = max_d (x E)_d - min_g (E y)_g, where E are the errors of the cells. The mean of N bounds the bias. The gap less
the 97.5% quantile of N is a lower bound, whichever responses are the true best ones. The upper bound is that of the
bootstrap in which every draw chooses its own best responses. It is too large itself, so the interval holds the true gap
at its nominal rate or more often.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import linprog, minimize
from scipy.special import entr

from arena.answer.payoff import ALPHA, Matrix, Payoff
from arena.metrics.interval import Interval

_SINGULAR = 1e-8
"""Relative size below which a singular value counts as 0. AUCs are multiples of about one in a million."""


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """The maximum-entropy equilibrium of a zero-sum game.

    Args:
        value: AUC that the detectors can guarantee from below and the generators from above.
        generators: (G,) probabilities of the generators.
        detectors: (D,) probabilities of the detectors.
    """

    value: float
    generators: Matrix
    detectors: Matrix


def equilibrium(auc: Matrix) -> Equilibrium:
    """Solve the game in which generators (rows) minimise and detectors (columns) maximise the AUC.

    Every equilibrium has the same value (von Neumann 1928). Among several, as with copies of one player, the one of
    greatest entropy is returned. It is unique and treats equal players alike (Nash averaging, Balduzzi et al. 2018).

    Args:
        auc: (G, D) payoffs.

    Raises:
        ValueError: if a payoff is not finite.

    >>> solved = equilibrium(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> round(solved.value, 6), solved.generators.round(6).tolist()
    (0.5, [0.5, 0.5])
    """
    if not np.isfinite(auc).all():
        raise ValueError("the payoffs of a game must be finite")
    value, x, y = _interior(auc)
    return Equilibrium(value, _most_even(auc - value, x, y), _most_even(value - auc.T, y, x))


def _interior(auc: Matrix) -> tuple[float, Matrix, Matrix]:
    """An equilibrium in which every player has a part that has one in any equilibrium, by one linear programme.

    An equilibrium has x, y and v with auc y >= v and x auc <= v. Among all of them it picks one of strict
    complementarity (Goldman & Tucker 1956). That one maximises the minimum over players of probability plus regret.
    """
    rows, columns = auc.shape
    down, across = np.ones((rows, 1)), np.ones((columns, 1))
    zero = np.zeros
    constraints = np.block(
        [
            [zero((rows, rows)), -auc, down, 0 * down],
            [auc.T, zero((columns, columns)), -across, 0 * across],
            [-np.eye(rows), -auc, down, down],
            [auc.T, -np.eye(columns), -across, across],
        ]
    )
    sums = zero((2, rows + columns + 2))
    sums[0, :rows] = sums[1, rows : rows + columns] = 1.0
    objective = zero(rows + columns + 2)
    objective[-1] = -1.0
    bounds = [(0.0, 1.0)] * (rows + columns) + [(None, None)] * 2
    solution = linprog(objective, constraints, zero(len(constraints)), sums, [1.0, 1.0], bounds)
    if not solution.success:
        raise RuntimeError(f"the equilibrium was not found: {solution.message}")
    x, y, value = solution.x[:rows], solution.x[rows : rows + columns], float(solution.x[-2])
    regret_x, regret_y = auc @ y - value, value - x @ auc  # either it or the probability is 0 for every player
    x, y = np.where(x > regret_x, x, 0.0), np.where(y > regret_y, y, 0.0)
    return value, x / x.sum(), y / y.sum()


def _most_even(cost: Matrix, mine: Matrix, theirs: Matrix) -> Matrix:
    """The equilibrium strategy (M,) of greatest entropy, given one of full support on either side.

    ``cost`` (M, N) is the loss against the value of the game: at most 0 in the mean of an equilibrium strategy, and 0
    against the opponent's of full support.
    """
    support, held = mine > 0, theirs > 0
    start, lost = mine[support], cost[support]
    fixed = np.vstack([lost[:, held].T, np.ones(len(start))])
    free = null_space(fixed, rcond=_SINGULAR)
    if not free.size:
        return mine
    limits = np.vstack([np.eye(len(start)), -lost[:, ~held].T])  # probabilities >= 0, losses <= 0
    solution = minimize(
        lambda z: -float(entr(np.clip(start + free @ z, 0.0, 1.0)).sum()),
        np.zeros(free.shape[1]),
        jac=lambda z: free.T @ (1.0 + np.log(np.clip(start + free @ z, 1e-15, 1.0))),
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda z: limits @ (start + free @ z), "jac": lambda _: limits @ free},
        options={"ftol": 1e-14, "maxiter": 200},
    )
    even = mine.copy()
    even[support] = np.clip(start + free @ solution.x, 0.0, None)
    return even / even.sum()


@dataclass(frozen=True)
class Exploitability:
    """A duality gap.

    Args:
        gap: as measured, with its 95% interval. Its lower end is 0 where best responses to noise could make all of it.
        bias: the gap that noise alone is expected to show: at most by this is ``gap`` too large on average.
    """

    gap: Interval
    bias: float


def duality_gap(auc: Matrix, generators: Matrix, detectors: Matrix) -> NDArray[np.float64]:
    """Return the gap of a pair of mixed strategies, at least 0.

    Args:
        auc: (..., G, D) payoffs of one game or of many.
        generators: (G,) probabilities x of the generators played.
        detectors: (D,) probabilities y of the detectors played.

    Returns:
        (...) gaps.

    >>> float(duality_gap(np.eye(2), np.array([0.75, 0.25]), np.array([0.5, 0.5])))
    0.25
    """
    return np.asarray((generators @ auc).max(axis=-1) - (auc @ detectors).min(axis=-1))


def exploitability(payoff: Payoff, generators: Matrix, detectors: Matrix) -> Exploitability:
    """Return the gap of a pair of strategies (R,) that were not chosen by this matrix, with its error."""
    by_chance = duality_gap(payoff.noise, generators, detectors)
    value = duality_gap(payoff.values, generators, detectors)
    low = value - np.quantile(by_chance, 1 - ALPHA / 2)
    high = np.quantile(duality_gap(payoff.values + payoff.noise, generators, detectors), 1 - ALPHA / 2)
    return Exploitability(Interval(float(value), float(low), float(high)).clipped(), float(by_chance.mean()))


def last_pair(payoff: Payoff) -> Exploitability:
    """Return the exploitability of the last round's pair: max_d P[R, d] - min_g P[g, R].

    Its opponents are all players of its past.
    """
    last = np.eye(len(payoff.values))[-1]
    return exploitability(payoff, last, last)
