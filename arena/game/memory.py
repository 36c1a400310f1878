"""Memory: what each side gains by its turn of the race, and what it keeps of earlier ones."""

from dataclasses import dataclass

import numpy as np

from arena.game.payoff import Matrix, Measured, Payoff


@dataclass(frozen=True)
class Memory:
    """The bookkeeping of round t > 0 on the payoff matrix P[g, d], each with its 95% interval.

    Args:
        round: t.
        evasion: P[t-1, t-1] - P[t, t-1]: what the generator's response took from the detector it answered.
        recovery: P[t, t] - P[t, t-1]: what retraining won back on the new fakes.
        forgetting: mean over s < t of P[s, s] - P[s, t]: how much worse today's detector is on the fakes of every
            earlier round than the detector of that round was. Negative where it has become better.
        generator_memory: mean over s < t of P[t, s]: AUC of earlier detectors on today's fakes. Low where the generator
            still passes what it once passed; 1 where it only ever moved on.
    """

    round: int
    evasion: Measured
    recovery: Measured
    forgetting: Measured
    generator_memory: Measured


def memory(payoff: Payoff) -> tuple[Memory, ...]:
    """By round, from round 1 on. All four are linear in the cells, so their intervals are exact to first order."""
    return tuple(_of_round(payoff, t) for t in range(1, len(payoff.values)))


def _of_round(payoff: Payoff, t: int) -> Memory:
    cell = np.eye(payoff.values.size).reshape(*payoff.values.shape, *payoff.values.shape)
    past = range(t)
    forgetting: Matrix = np.mean([cell[s, s] - cell[s, t] for s in past], axis=0)
    return Memory(
        t,
        evasion=payoff.linear(cell[t - 1, t - 1] - cell[t, t - 1]),
        recovery=payoff.linear(cell[t, t] - cell[t, t - 1]),
        forgetting=payoff.linear(forgetting),
        generator_memory=payoff.linear(np.mean([cell[t, s] for s in past], axis=0), low=0.0),
    )
