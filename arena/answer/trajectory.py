"""Follow the verdict of a condition over its rounds."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from arena.answer.findings import TechniqueFinding, guards, strongest, technique_estimate
from arena.answer.runs import Condition, FinishedRun
from arena.config.schema import AnswerConfig
from arena.metrics.interval import Interval
from arena.records.schema import QualityRecord

GuardName = Literal["quality", "variety", "memorisation"]


@dataclass(frozen=True)
class TrajectoryPoint:
    """A condition at one round, as the verdict would find it if that round had been the last.

    Args:
        round: of the generator.
        technique: the strongest on validation among the techniques whose judges are fit.
        auc: its AUC on the test, with the 95% interval.
        guarded: guard -> its figure, averaged over runs. That of memorisation is the lower end of its interval, which
            the guard compares with its limit.
    """

    round: int
    technique: str
    auc: Interval
    guarded: Mapping[GuardName, float]


@dataclass(frozen=True)
class Trajectory:
    """The path of a condition over its rounds.

    Args:
        name: of the condition.
        terms: the margin and the limits of the guards.
        steps: one point for every round that was judged and measured, of all runs together.
        seeds: the same for each of several runs alone, with the techniques of ``steps``.
    """

    name: str
    terms: AnswerConfig
    steps: tuple[TrajectoryPoint, ...]
    seeds: tuple[tuple[TrajectoryPoint, ...], ...] = ()


def trajectory(condition: Condition, findings: Sequence[TechniqueFinding]) -> Trajectory:
    """Return the path of a condition.

    Args:
        condition: with its runs.
        findings: of the condition at the last round.

    Raises:
        ArenaError: if the scores of a judge are missing or altered.
    """
    fit = [each.technique for each in findings if each.estimate is not None and each.finding != "unfit"]
    terms = condition.runs[0].declared
    steps: list[TrajectoryPoint] = []
    alone: list[list[TrajectoryPoint]] = [[] for _ in condition.runs]
    for round_index in range(terms.last_round + 1):
        runs = [run for run in (as_of(run, round_index) for run in condition.runs) if run is not None]
        if len(runs) < len(condition.runs):
            continue
        best = strongest({name: [run.validation_auc(name) for run in runs] for name in fit})
        step = None if best is None else _point(runs, findings, best[0])
        if step is None:
            continue
        steps.append(step)
        for seed, run in zip(alone, runs, strict=True):
            seed.extend(filter(None, [_point([run], findings, step.technique)]))
    return Trajectory(condition.name, terms.answer, tuple(steps), tuple(map(tuple, alone)) if len(alone) > 1 else ())


def as_of(run: FinishedRun, round_index: int) -> FinishedRun | None:
    """Return the run as if that round had been its last, or None where the round was not measured."""
    measured = [record for record in run.records if isinstance(record, QualityRecord) and record.round == round_index]
    if not measured:
        return None
    return dataclasses.replace(
        run, quality=measured[-1], declared=dataclasses.replace(run.declared, last_round=round_index)
    )


def _point(runs: Sequence[FinishedRun], findings: Sequence[TechniqueFinding], technique: str) -> TrajectoryPoint | None:
    auc = technique_estimate(runs, technique)
    if auc is None:
        return None
    held = [guards([run], findings) for run in runs]
    guarded: dict[GuardName, float] = {
        "quality": float(np.mean([each.quality.figure for each in held])),
        "variety": float(np.mean([each.variety.figure for each in held])),
        "memorisation": float(np.mean([run.quality.memorisation_low for run in runs])),
    }
    return TrajectoryPoint(runs[0].declared.last_round, technique, auc.interval().clipped(), guarded)
