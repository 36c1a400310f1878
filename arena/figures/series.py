"""The curves of a race: what each technique achieved in each regime, round by round, read from the records."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from arena.records import Record, Regime, ScoreRecord

STACK = "stack"


class Reading(NamedTuple):
    """An AUC with its 95% interval; NaN where nothing was recorded."""

    auc: float
    low: float
    high: float


MISSING = Reading(math.nan, math.nan, math.nan)


def score_records(records: Sequence[Record]) -> list[ScoreRecord]:
    """The score records among ``records``."""
    return [record for record in records if isinstance(record, ScoreRecord)]


def techniques(records: Sequence[Record]) -> list[str]:
    """The techniques in the order of their first record, the stack over them last."""
    names = dict.fromkeys(record.technique for record in score_records(records))
    return [name for name in names if name != STACK] + [name for name in names if name == STACK]


def rounds(records: Sequence[Record]) -> list[int]:
    """The generator rounds that were scored."""
    return sorted({record.generator_round for record in score_records(records)})


def told(records: Sequence[Record], technique: str) -> bool:
    """Whether any generator of the race was told of the technique."""
    return any(record.told for record in score_records(records) if record.technique == technique)


def title(records: Sequence[Record], technique: str) -> str:
    """What a panel is headed with: the technique, and whether it is held out from the generator."""
    return f"{technique} · {'told' if told(records, technique) else 'not told'}"


def of_regime(records: Sequence[Record], technique: str, regime: Regime, round: int) -> list[ScoreRecord]:
    """The tests of generator ``round`` the timeline shows, for fresh judges one a seed.

    Frozen means the detector of the round before, retrained the detector of this round; the other pairs of rounds are
    cells of the payoff matrix.
    """
    detector_round = round - 1 if regime == "frozen" else round
    return [
        record
        for record in score_records(records)
        if (record.technique, record.regime) == (technique, regime)
        and (record.generator_round, record.detector_round) == (round, detector_round)
    ]


def reading(records: Sequence[Record], technique: str, regime: Regime, round: int) -> Reading:
    """The AUC of one point of the timeline, the judge seeds of a regime taken together."""
    tests = of_regime(records, technique, regime, round)
    if not tests:
        return MISSING
    if len(tests) == 1:
        return Reading(tests[0].auc, tests[0].auc_low, tests[0].auc_high)
    aucs = np.array([test.auc for test in tests])
    return Reading(float(aucs.mean()), math.nan, math.nan)
