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
    """A condition as the verdict would find it had this round been the last.

    Args:
        round: of the generator.
        technique: the strongest by validation, of those whose judges are fit.
        auc: its AUC on the test, with the 95% interval.
        guarded: the figure of each guard, of several runs their mean; of memorisation the lower end of its interval,
            which is what the guard reads.
    """

    round: int
    technique: str
    auc: Interval
    guarded: Mapping[GuardName, float]


@dataclass(frozen=True)
class Trajectory:
    """A condition's way over its rounds.

    Args:
        name: of the condition.
        terms: the margin and the limits of the guards.
        steps: of all its runs together, one a round that was judged and measured.
        seeds: the same of each run alone, where there are several: with the techniques of ``steps``.
    """

    name: str
    terms: AnswerConfig
    steps: tuple[TrajectoryPoint, ...]
    seeds: tuple[tuple[TrajectoryPoint, ...], ...] = ()


def trajectory(condition: Condition, found: Sequence[TechniqueFinding]) -> Trajectory:
    """Read the rounds of a condition.

    Args:
        condition: with its runs.
        found: its findings at the last round.

    Raises:
        ArenaError: if the scores of a judge are missing or altered.
    """
    fit = [its.technique for its in found if its.estimate is not None and its.finding != "unfit"]
    terms = condition.runs[0].declared
    steps: list[TrajectoryPoint] = []
    alone: list[list[TrajectoryPoint]] = [[] for _ in condition.runs]
    for round_index in range(terms.last_round + 1):
        runs = [then for run in condition.runs if (then := as_of(run, round_index)) is not None]
        whole = len(runs) == len(condition.runs)
        chosen = strongest({name: [run.validation_auc(name) for run in runs] for name in fit}) if whole else None
        step = None if chosen is None else _trajectory_point(runs, found, chosen[0])
        if step is None:
            continue
        steps.append(step)
        for seed, run in zip(alone, runs, strict=True):
            seed.extend(filter(None, [_trajectory_point([run], found, step.technique)]))
    return Trajectory(condition.name, terms.answer, tuple(steps), tuple(map(tuple, alone)) if len(alone) > 1 else ())


def as_of(run: FinishedRun, round_index: int) -> FinishedRun | None:
    """The run as if that round had been its last; None where nobody measured it."""
    measured = [record for record in run.records if isinstance(record, QualityRecord) and record.round == round_index]
    if not measured:
        return None
    return dataclasses.replace(
        run, quality=measured[-1], declared=dataclasses.replace(run.declared, last_round=round_index)
    )


def _trajectory_point(
    runs: Sequence[FinishedRun], found: Sequence[TechniqueFinding], technique: str
) -> TrajectoryPoint | None:
    its = technique_estimate(runs, technique)
    if its is None:
        return None
    held = [guards([run], found) for run in runs]
    guarded: dict[GuardName, float] = {
        "quality": float(np.mean([its.quality.figure for its in held])),
        "variety": float(np.mean([its.variety.figure for its in held])),
        "memorisation": float(np.mean([run.quality.memorisation_low for run in runs])),
    }
    return TrajectoryPoint(runs[0].declared.last_round, technique, its.interval().clipped(), guarded)
