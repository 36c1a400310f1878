"""Games made by hand."""

import numpy as np

from arena.answer.payoff import Payoff


def hand_made(values, error=1e-3):
    """A game of known payoffs whose cells err independently, with one standard error or one for each."""
    values = np.asarray(values, dtype=float)
    variance = np.broadcast_to(np.square(error), values.shape)
    return Payoff(values, np.diag(variance.ravel()), np.zeros(values.shape))
