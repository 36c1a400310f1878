"""Ratings: every generator's and every detector's strength in one number. Relative: of this tournament only."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import minimize
from scipy.special import expit

from arena.game.equilibrium import Equilibrium
from arena.game.payoff import Matrix, Payoff

ELO = 400.0 / np.log(10.0)
"""Points a unit of log-odds: 400 points are odds of ten to one."""


@dataclass(frozen=True, eq=False)
class Ratings:
    """Strengths (R,) by round, higher is better for either side.

    Args:
        generators: Elo, of mean 0. Generator g wins where a fake of it scores below a real: by detector d with odds of
            10^((generators[g] - detectors[d]) / 400).
        generators_error: their standard errors over draws of the test images.
        detectors: Elo on the same scale.
        detectors_error: theirs.
        generators_nash: how often each generator wins against the detectors' equilibrium (Nash averaging).
        detectors_nash: how often each detector wins against the generators' equilibrium: an AUC.
    """

    generators: Matrix
    generators_error: Matrix
    detectors: Matrix
    detectors_error: Matrix
    generators_nash: Matrix
    detectors_nash: Matrix


def ratings(payoff: Payoff, solved: Equilibrium) -> Ratings:
    """Both ratings of a game.

    Elo is fitted by maximum likelihood (Bradley & Terry 1952), every cell one match of equal weight, the AUC its share
    of wins, so a player's rating depends on who else is in the archive, and on how many of its likes. Nash averaging
    does not (Balduzzi et al. 2018). Neither may be compared between tournaments.

    Args:
        payoff: the game.
        solved: its maximum-entropy equilibrium.
    """
    size = len(payoff.values)
    # Half a win either way to as many matches as images, lest a cell at 1 ask for a rating without end.
    shrink = payoff.images / (payoff.images + 1.0)
    wins = (shrink * payoff.values + (1.0 - shrink) / 2.0).ravel()
    centred = null_space(np.ones((1, size)))
    design = np.hstack([np.kron(-centred, np.ones((size, 1))), np.kron(np.ones((size, 1)), np.eye(size))])

    def loss(strength: Matrix) -> float:
        odds = design @ strength
        return float((np.logaddexp(0.0, odds) - wins * odds).sum())

    def slope(strength: Matrix) -> Matrix:
        return design.T @ (expit(design @ strength) - wins)

    def curvature(strength: Matrix) -> Matrix:
        won = expit(design @ strength)
        return (design.T * (won * (1.0 - won))) @ design

    start = np.zeros(design.shape[1])
    strength = minimize(loss, start, jac=slope, hess=curvature, method="trust-exact", options={"gtol": 1e-10}).x
    back = np.zeros((2 * size, design.shape[1]))
    back[:size, : size - 1], back[size:, size - 1 :] = centred, np.eye(size)
    # At the optimum slope = 0, so d strength / d wins = curvature^-1 design^T.
    moved = ELO * back @ np.linalg.solve(curvature(strength), design.T) * shrink.ravel()
    covariance = moved @ (payoff.covariance + np.diag(payoff.floor.ravel())) @ moved.T
    elo, error = ELO * back @ strength, np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    return Ratings(
        generators=elo[:size],
        generators_error=error[:size],
        detectors=elo[size:],
        detectors_error=error[size:],
        generators_nash=1.0 - payoff.values @ solved.detectors,
        detectors_nash=solved.generators @ payoff.values,
    )
