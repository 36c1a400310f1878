"""The game of a run, technique by technique: its value, and whether the race progresses or cycles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arena.answer.game.equilibrium import equilibrium
from arena.answer.game.exploitability import Exploitability, last_pair
from arena.answer.game.payoff import Matrix, Payoff, read_payoff
from arena.answer.game.structure import (
    EventCount,
    Memory,
    Transitivity,
    circular_triads,
    memory,
    rank_reversals,
    transitivity,
)
from arena.metrics.interval import Interval
from arena.records.schema import Record, ScoreRecord


@dataclass(frozen=True, eq=False)
class Game:
    """The figures of one technique's payoff matrix.

    Args:
        technique: its name.
        auc: (R, R) payoffs [generator, detector].
        value: AUC at equilibrium. Its interval keeps the equilibrium's strategies fixed, which is right to first order
            if there is only one (Mills 1956).
        last_pair: exploitability of the last round's generator and detector.
        memory: of the last round. None where it is the first.
        transitivity: shares of interaction and rotation.
        reversals: rank reversals.
        circles: circular triads.
    """

    technique: str
    auc: Matrix
    value: Interval
    last_pair: Exploitability
    memory: Memory | None
    transitivity: Transitivity
    reversals: EventCount
    circles: EventCount


def game(run: Path, records: Sequence[Record]) -> dict[str, Game]:
    """Return technique -> its game, in order of first record. Techniques without a complete round are left out.

    Args:
        run: the run directory, with ``scores/``.
        records: its records.

    Raises:
        ArenaError: if scores are missing, altered, or no test.
    """
    names = dict.fromkeys(record.technique for record in records if isinstance(record, ScoreRecord))
    payoffs = (read_payoff(run, records, name) for name in names)
    return {payoff.technique: solve(payoff) for payoff in payoffs if payoff is not None}


def solve(payoff: Payoff) -> Game:
    """Return the figures of one technique's game."""
    solved = equilibrium(payoff.values)
    return Game(
        technique=payoff.technique,
        auc=payoff.values,
        value=payoff.linear(np.outer(solved.generators, solved.detectors), low=0.0),
        last_pair=last_pair(payoff),
        memory=memory(payoff),
        transitivity=transitivity(payoff),
        reversals=rank_reversals(payoff),
        circles=circular_triads(payoff),
    )
