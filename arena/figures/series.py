"""The curves of a race: what each technique achieved in each regime, round by round."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from arena.answer.estimate import Estimate, estimate
from arena.config.schema import BAG, STACK
from arena.core.errors import ArenaError
from arena.metrics.auc import influence
from arena.records.schema import Record, Regime, ScoreRecord
from arena.records.store import read_scores


@dataclass(frozen=True)
class PlotPoint:
    """An AUC with its 95% interval; ``seeds`` holds that of each judge seed where there are several."""

    auc: float
    low: float
    high: float
    seeds: tuple[float, ...] = ()


MISSING = PlotPoint(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Series:
    """One technique's way through the race.

    Args:
        technique: its name.
        told: whether any generator of the race was told of it.
        rounds: the generator rounds scored by any technique, ascending.
        points: regime -> generator round -> AUC. Frozen means the detector of the round before, retrained that of the
            same round: other pairs of rounds are cells of the payoff matrix.
    """

    technique: str
    told: bool
    rounds: tuple[int, ...]
    points: Mapping[Regime, Mapping[int, PlotPoint]]

    @property
    def title(self) -> str:
        """What its panel is headed with."""
        return f"{self.technique} · {'told' if self.told else 'not told'}"

    def at(self, regime: Regime, round_index: int) -> PlotPoint:
        """The AUC in a regime at a round; NaN where nobody scored."""
        return self.points[regime].get(round_index, MISSING)


def score_records(records: Sequence[Record]) -> list[ScoreRecord]:
    """The score records among ``records``."""
    return [record for record in records if isinstance(record, ScoreRecord)]


def techniques(records: Sequence[Record]) -> list[str]:
    """The techniques in the order of their first record; the stack over them, and a bag over the stack, last."""
    names = dict.fromkeys(record.technique for record in score_records(records))
    return sorted(names, key=lambda name: (name == BAG, name == STACK))


def on_timeline(records: Sequence[Record], technique: str, regime: Regime, round_index: int) -> list[ScoreRecord]:
    """The tests of generator ``round`` that the timeline shows; of fresh judges one a seed."""
    detector_round = round_index - 1 if regime == "frozen" else round_index
    return [
        record
        for record in score_records(records)
        if (record.technique, record.regime) == (technique, regime)
        and (record.generator_round, record.detector_round) == (round_index, detector_round)
    ]


def read_series(run: Path, records: Sequence[Record]) -> list[Series]:
    """The series of a run, one a technique; fresh judges are taken together just as the verdict takes them.

    Args:
        run: the run directory, whose ``scores/`` give the intervals of several judges together.
        records: its records.

    Raises:
        ArenaError: if the scores of a judge are missing or altered.
    """
    seen = tuple(sorted({record.generator_round for record in score_records(records)}))
    regimes: tuple[Regime, ...] = ("frozen", "retrained", "fresh")
    series = []
    for name in techniques(records):
        tests = {(k, r): on_timeline(records, name, k, r) for k in regimes for r in seen}
        points: dict[Regime, dict[int, PlotPoint]] = {
            k: {r: _point(run, tests[k, r]) for r in seen if tests[k, r]} for k in regimes
        }
        told = any(record.told for record in score_records(records) if record.technique == name)
        series.append(Series(name, told, seen, points))
    return series


def _point(run: Path, tests: Sequence[ScoreRecord]) -> PlotPoint:
    if len(tests) == 1:
        return PlotPoint(tests[0].auc, tests[0].auc_low, tests[0].auc_high)
    try:
        found = estimate([[influence(read_scores(run, test.scores)) for test in tests]])
    except ValueError as error:
        raise ArenaError(f"{run / tests[0].scores.file}: {error}") from error
    return point_of(found, tuple(test.auc for test in tests))


def point_of(found: Estimate, seeds: tuple[float, ...] = ()) -> PlotPoint:
    """An estimate with its 95% interval, which ends where AUC does."""
    return PlotPoint(found.value, max(0.0, found.low(0.025)), min(1.0, found.high(0.025)), seeds)
