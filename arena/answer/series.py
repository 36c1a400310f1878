"""Results round by round: AUC of each technique in each regime of a race, and the verdict's figures of a condition."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from arena.answer.conditions import Condition
from arena.answer.estimate import estimate
from arena.answer.findings import TechniqueFinding, strongest_on_validation, technique_estimate
from arena.answer.guards import guards
from arena.answer.runs import FinishedRun, by_budget, read_influence
from arena.config.schema import BAG, STACK, AnswerConfig
from arena.metrics.interval import Interval
from arena.records.schema import AccessLevel, QualityRecord, Record, Regime, ScoreRecord, highest_access

MISSING = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Series:
    """One technique's AUC over the race.

    Args:
        technique: its name.
        access: the highest level of access that a generator of the race had to it.
        rounds: the generator rounds scored by any technique, ascending.
        points: regime -> generator round -> AUC. Frozen is the detector of the round before, retrained that of the
            same round. Other pairs of rounds are cells of the payoff matrix.
        seeds: generator round -> AUC of each fresh judge, where there are several.
        decisive: generator round -> AUC of fresh judges with a larger budget, which the verdict reads. The fresh judges
            among the points have the budget of every round. At the last round the judges that were added to that
            budget are among them, unlike in ``FinishedRun.equal_judges``.
    """

    technique: str
    access: AccessLevel
    rounds: tuple[int, ...]
    points: Mapping[Regime, Mapping[int, Interval]]
    seeds: Mapping[int, tuple[float, ...]]
    decisive: Mapping[int, Interval] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Title of its panel."""
        return f"{self.technique} · {'no access' if self.access == 'none' else self.access}"

    def at(self, regime: Regime, round_index: int) -> Interval:
        """Return the AUC in a regime at a round, NaN where there is none."""
        return self.points[regime].get(round_index, MISSING)

    def judged(self, round_index: int) -> Interval:
        """Return the AUC that the verdict reads at a round: that of the fresh judges with the largest budget."""
        return self.decisive.get(round_index, self.at("fresh", round_index))


def score_records(records: Sequence[Record]) -> list[ScoreRecord]:
    """Return the score records among ``records``."""
    return [record for record in records if isinstance(record, ScoreRecord)]


def techniques(records: Sequence[Record]) -> list[str]:
    """Return the techniques in order of their first record, the stack and then the bag last."""
    names = dict.fromkeys(record.technique for record in score_records(records))
    return sorted(names, key=lambda name: (name == BAG, name == STACK))


def on_timeline(records: Sequence[Record], technique: str, regime: Regime, round_index: int) -> list[ScoreRecord]:
    """Return the tests of that round's generator that the timeline shows: one, or one a seed for fresh judges.

    Fresh judges have the budget of every round. At the last round the judges that were added to that budget are among
    them, unlike in ``FinishedRun.equal_judges``.
    """
    return _tests_by_budget(records, technique, regime, round_index)[0]


def _tests_by_budget(
    records: Sequence[Record], technique: str, regime: Regime, round_index: int
) -> list[list[ScoreRecord]]:
    """Return the tests of that round's generator in ascending order of the judges' budget, at least one list."""
    detector_round = round_index - 1 if regime == "frozen" else round_index
    wanted = (technique, regime, round_index, detector_round)
    tests = [
        record
        for record in score_records(records)
        if (record.technique, record.regime, record.generator_round, record.detector_round) == wanted
    ]
    return list(by_budget(tests).values()) or [[]]


def read_series(run: Path, records: Sequence[Record]) -> list[Series]:
    """Return the series of a run directory, one a technique. Fresh judges are averaged as in the verdict."""
    seen = tuple(sorted({record.generator_round for record in score_records(records)}))
    regimes: tuple[Regime, ...] = ("frozen", "retrained", "fresh")
    series = []
    for name in techniques(records):
        tests = {(k, r): _tests_by_budget(records, name, k, r) for k in regimes for r in seen}
        points: dict[Regime, dict[int, Interval]] = {
            k: {r: _point(run, tests[k, r][0]) for r in seen if tests[k, r][0]} for k in regimes
        }
        access = highest_access(record.access for record in score_records(records) if record.technique == name)
        judges = {r: tuple(test.auc for test in tests["fresh", r][0]) for r in seen}
        seeds = {r: aucs for r, aucs in judges.items() if len(aucs) > 1}
        decisive = {r: _point(run, tests["fresh", r][-1]) for r in seen if len(tests["fresh", r]) > 1}
        series.append(Series(name, access, seen, points, seeds, decisive))
    return series


def _point(run: Path, tests: Sequence[ScoreRecord]) -> Interval:
    if len(tests) == 1:
        return Interval(tests[0].auc, tests[0].auc_low, tests[0].auc_high)
    return estimate([[read_influence(run, test.scores) for test in tests]]).interval().clipped()


GuardName = Literal["quality", "variety", "memorisation"]


@dataclass(frozen=True)
class TrajectoryPoint:
    """A condition at one round, as the verdict would find it if that round had been the last.

    Args:
        round: of the generator.
        technique: the strongest.
        judge_images: budget of its judges.
        auc: its AUC on the test, with the 95% interval.
        guarded: guard -> its figure, averaged over runs.
    """

    round: int
    technique: str
    judge_images: int
    auc: Interval
    guarded: Mapping[GuardName, float]


@dataclass(frozen=True)
class Trajectory:
    """The path of a condition over its rounds.

    ``steps`` has a point for every round that was judged and measured, of all runs together, by the judges that every
    round has. ``seeds`` has the same for each of several runs alone, with the techniques of ``steps``. ``decisive`` is
    the last round by the judges that the verdict reads, where these are more or have a larger budget.
    """

    name: str
    terms: AnswerConfig
    steps: tuple[TrajectoryPoint, ...]
    seeds: tuple[tuple[TrajectoryPoint, ...], ...] = ()
    decisive: TrajectoryPoint | None = None


def trajectory(condition: Condition, findings: Sequence[TechniqueFinding]) -> Trajectory:
    """Return the path of a condition, given its findings at the last round."""
    terms = condition.runs[0].declared
    steps: list[TrajectoryPoint] = []
    alone: list[list[TrajectoryPoint]] = [[] for _ in condition.runs]
    equal = [run.with_equal_judges() for run in condition.runs]
    for round_index in range(terms.last_round + 1):
        runs = [run for run in (as_of(run, round_index) for run in equal) if run is not None]
        step = _strongest_step(runs, findings) if len(runs) == len(equal) else None
        if step is not None:
            steps.append(step)
            for seed, run in zip(alone, runs, strict=True):
                seed.extend(filter(None, [_step([run], findings, step.technique)]))
    decisive = _strongest_step(condition.runs, findings)
    return Trajectory(
        condition.name,
        terms.answer,
        tuple(steps),
        seeds=tuple(map(tuple, alone)) if len(alone) > 1 else (),
        decisive=None if decisive in steps else decisive,
    )


def as_of(run: FinishedRun, round_index: int) -> FinishedRun | None:
    """Return the run as if that round had been its last, or None where the round was not measured."""
    measured = [record for record in run.of_kind(QualityRecord) if record.round == round_index]
    declared = dataclasses.replace(run.declared, last_round=round_index)
    return dataclasses.replace(run, quality=measured[-1], declared=declared) if measured else None


def _strongest_step(runs: Sequence[FinishedRun], findings: Sequence[TechniqueFinding]) -> TrajectoryPoint | None:
    best = strongest_on_validation(runs, findings)
    return best and _step(runs, findings, best[0])


def _step(runs: Sequence[FinishedRun], findings: Sequence[TechniqueFinding], technique: str) -> TrajectoryPoint | None:
    auc = technique_estimate(runs, technique)
    if auc is None:
        return None
    held = [guards([run], findings) for run in runs]
    guarded: dict[GuardName, float] = {
        "quality": float(np.mean([each.quality.figure for each in held])),
        "variety": float(np.mean([each.variety.figure for each in held])),
        "memorisation": float(np.mean([each.memorisation.figure for each in held])),
    }
    images = max(record.judge_images or 0 for run in runs for record in run.fresh(technique).values())
    return TrajectoryPoint(runs[0].declared.last_round, technique, images, auc.interval().clipped(), guarded)
