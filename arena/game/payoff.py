"""The payoff matrix: the AUC of every round's detector on every round's generator."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from arena.records import Record, ScoreRecord


def payoff(records: Iterable[Record], technique: str) -> NDArray[np.float64]:
    """The payoff matrix of one technique.

    Entry [g, d] is the AUC of the detector of round d on the fakes of the generator of round g. Below the diagonal
    (d < g) the detector never saw these fakes (regime "frozen"); on it and above it was trained on them or their
    likes (regime "retrained"). Fresh judges are no players, and have no entry.

    Args:
        records: of one run.
        technique: its name.

    Returns:
        (rounds, rounds) float64, NaN where nothing was measured; (0, 0) where the technique has no record.
    """
    played = [
        record
        for record in records
        if isinstance(record, ScoreRecord) and record.technique == technique and record.regime != "fresh"
    ]
    size = 1 + max((max(record.generator_round, record.detector_round) for record in played), default=-1)
    matrix = np.full((size, size), np.nan)
    for record in played:
        matrix[record.generator_round, record.detector_round] = record.auc
    return matrix


def payoffs(records: Iterable[Record]) -> dict[str, NDArray[np.float64]]:
    """Technique -> its payoff matrix, in the order in which the techniques first appear."""
    kept = list(records)
    names = dict.fromkeys(record.technique for record in kept if isinstance(record, ScoreRecord))
    return {name: payoff(kept, name) for name in names}
