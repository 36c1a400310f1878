"""The equilibrium: how often to play each archived generator and detector so that no opponent can exploit it.

A generator that plays its mixture draws each fake from one of the archive at random. AUC is exactly linear in such a
mixture: P(a fake scores above a real) is the mean over whose fake it is. On the detectors' side it is linear in "one of
them at random judges" and not in an ensemble, which averages scores before it ranks: an ensemble may catch what no
mixture does, so the value of the game bounds from below what detectors of this archive can do together. Neither says
anything of players outside the archive: that is what fresh judges are for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import linprog, minimize
from scipy.special import entr

Matrix = NDArray[np.float64]

_SINGULAR = 1e-8
"""Relative singular values below this leave an equilibrium free; AUCs are multiples of one part in about a million."""


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """The maximum-entropy equilibrium of a zero-sum game.

    Args:
        value: AUC that the detectors can hold and the generators can hold it to.
        generators: (G,) probabilities with which the generators are played.
        detectors: (D,) of the detectors.
    """

    value: float
    generators: Matrix
    detectors: Matrix


def equilibrium(auc: Matrix) -> Equilibrium:
    """Solve the game in which generators (rows) minimise and detectors (columns) maximise the AUC.

    Every equilibrium has the same value (von Neumann 1928). Where there are several, as among copies of one player, we
    take the one of greatest entropy, which is unique and treats equals alike (Nash averaging, Balduzzi et al. 2018).

    Args:
        auc: (G, D) finite payoffs.

    Raises:
        ValueError: if a payoff is not finite.
    """
    if not np.isfinite(auc).all():
        raise ValueError("the payoffs of a game must be finite")
    value, x, y = _interior(auc)
    return Equilibrium(value, _most_even(auc - value, x, y), _most_even(value - auc.T, y, x))


def _interior(auc: Matrix) -> tuple[float, Matrix, Matrix]:
    """An equilibrium in which every player is played that is played in any: one linear programme.

    Of x, y and v with auc y >= v and x auc <= v, which is to say of all equilibria, it takes the one that raises the
    least of "how often played + how far from a best response": 0 in sum for no player (Goldman & Tucker 1956).
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
    found = linprog(objective, constraints, zero(len(constraints)), sums, [1.0, 1.0], bounds)
    if not found.success:
        raise RuntimeError(f"the equilibrium was not found: {found.message}")
    x, y, value = found.x[:rows], found.x[rows : rows + columns], float(found.x[-2])
    short_x, short_y = auc @ y - value, value - x @ auc  # of a best response; one of the two is 0 for every player
    x, y = np.where(x > short_x, x, 0.0), np.where(y > short_y, y, 0.0)
    return value, x / x.sum(), y / y.sum()


def _most_even(cost: Matrix, mine: Matrix, theirs: Matrix) -> Matrix:
    """The equilibrium strategy of greatest entropy, from one of full support.

    Args:
        cost: (M, N) what I lose against the value of the game; at most 0 in mean for an equilibrium strategy.
        mine: (M,) such a strategy.
        theirs: (N,) the opponent's of full support: against these I lose just 0.
    """
    support, held = mine > 0, theirs > 0
    start, lost = mine[support], cost[support]
    fixed = np.vstack([lost[:, held].T, np.ones(len(start))])
    free = null_space(fixed, rcond=_SINGULAR)
    if not free.size:
        return mine
    limits = np.vstack([np.eye(len(start)), -lost[:, ~held].T])  # probabilities >= 0, losses <= 0
    found = minimize(
        lambda z: -float(entr(np.clip(start + free @ z, 0.0, 1.0)).sum()),
        np.zeros(free.shape[1]),
        jac=lambda z: free.T @ (1.0 + np.log(np.clip(start + free @ z, 1e-15, 1.0))),
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda z: limits @ (start + free @ z), "jac": lambda _: limits @ free},
        options={"ftol": 1e-14, "maxiter": 200},
    )
    even = mine.copy()
    even[support] = np.clip(start + free @ found.x, 0.0, None)
    return even / even.sum()
