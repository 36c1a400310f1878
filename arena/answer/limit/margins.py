"""Margins: how much noise, blur, JPEG or shrinking, of reals and fakes alike, a detection withstands.

Where AUC is pinned at 1 it says nothing of how far real and fake are from being confused. The level of a degradation
at which the AUC of fresh judges of degraded images falls to ``THRESHOLD`` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from arena.answer.estimate import estimate
from arena.answer.findings import technique_estimate
from arena.answer.runs import FinishedRun
from arena.core.degradations import LADDERS, THRESHOLD, Degradation
from arena.core.errors import ArenaError
from arena.metrics.auc import influence
from arena.metrics.interval import Interval
from arena.records.schema import MarginRecord
from arena.records.store import read_scores

ThresholdCrossing = Literal["undegraded", "below the mildest tried", "between", "beyond the worst tried"]


@dataclass(frozen=True)
class LevelTried:
    """AUC of fresh judges at a level of a degradation, with its 95% interval."""

    level: float
    auc: Interval


@dataclass(frozen=True)
class Margin:
    """The level of a degradation at which AUC falls to ``THRESHOLD``, in the unit of ``arena.core.degradations``.

    Args:
        degradation: its kind.
        tried: what was measured, the mildest first; the first is of undegraded images.
        fall: between which levels the fall lies, in words.
        level: where a straight line between the two levels tried around the fall meets the threshold; None unless
            ``fall`` is "between".
        mild: the level is hardly milder: where the lower ends of the AUC intervals fall. None where that is before
            the mildest level tried.
        harsh: the level is hardly harsher: where the upper ends fall. None where that is beyond the worst.
    """

    degradation: Degradation
    tried: tuple[LevelTried, ...]
    fall: ThresholdCrossing
    level: float | None
    mild: float | None
    harsh: float | None

    @property
    def reason(self) -> str:
        """Why there is no level, in words; "" where there is one."""
        untouched, first, last = self.tried[0], self.tried[1], self.tried[-1]
        match self.fall:
            case "undegraded":
                return f"AUC is {untouched.auc.value:.2f} without any, no more than {THRESHOLD:g} already"
            case "below the mildest tried":
                return f"below the mildest tried, {first.level:g}"
            case "beyond the worst tried":
                return f"beyond the worst tried, {last.level:g}"
            case "between":
                return ""

    @property
    def severity(self) -> tuple[int, float]:
        """By which margins of one degradation are ordered, the least withstood first."""
        return get_args(ThresholdCrossing).index(self.fall), 0.0 if self.level is None else position(
            self.degradation, self.level
        )


def margins(runs: Sequence[FinishedRun], technique: str) -> dict[Degradation, Margin]:
    """The margin of a technique against each degradation that it was tried with on every run, at the last round.

    Of several runs it is the median one's, with an interval from the mildest end of any to the harshest: a bisection
    tries other levels in other runs, so that their AUCs cannot be averaged level by level.

    Args:
        runs: one run, or the runs of one condition over its seeds.
        technique: its name.

    Raises:
        ArenaError: if a score file is missing or altered.
    """
    tried = [_tried(run, technique) for run in runs]
    untouched = [
        technique_estimate([run], technique) if levels else None for run, levels in zip(runs, tried, strict=True)
    ]
    found: dict[Degradation, Margin] = {}
    for degradation in get_args(Degradation):
        of_runs = [
            margin(
                degradation, [LevelTried(LADDERS[degradation].none, fresh.interval().clipped()), *levels[degradation]]
            )
            for levels, fresh in zip(tried, untouched, strict=True)
            if fresh is not None and degradation in levels
        ]
        if of_runs and len(of_runs) == len(runs):
            found[degradation] = _median(of_runs)
    return found


def margin(degradation: Degradation, tried: Sequence[LevelTried]) -> Margin:
    """Where AUC falls to the threshold: before the first level, from the mildest on, at which it is no higher.

    An AUC that rises again at a harsher level does not count. Between two levels the line is straight in AUC and in the
    logarithm of the level (in the quality of a JPEG); the undegraded image has no place on that scale.

    Args:
        degradation: its kind.
        tried: the undegraded images first, then one level or more in any order.
    """
    untouched, *levels = tried
    ordered = (untouched, *sorted(levels, key=lambda its: position(degradation, its.level)))
    at, low, high = (
        _first_fall([getattr(its.auc, end) for its in ordered], degradation, ordered) for end in Interval._fields
    )
    worst = len(ordered)
    fall: ThresholdCrossing = (
        "undegraded"
        if at[0] == 0
        else "below the mildest tried"
        if at[0] == 1
        else "between"
        if at[0] < worst
        else "beyond the worst tried"
    )
    mild = ordered[-1].level if low[0] == worst else low[1]
    harsh = ordered[1].level if high[0] <= 1 else high[1]
    return Margin(degradation, ordered, fall, at[1], mild, harsh)


def position(degradation: Degradation, level: float) -> float:
    """Where a level stands on the scale it is interpolated on, and drawn: the harsher, the higher."""
    return -level if degradation == "jpeg" else float(np.log(level))


def _first_fall(
    aucs: Sequence[float], degradation: Degradation, tried: Sequence[LevelTried]
) -> tuple[int, float | None]:
    """The first place at which AUC is at the threshold or below (their number if none), and the level before it."""
    place = next((k for k, auc in enumerate(aucs) if auc <= THRESHOLD), len(aucs))
    if place < 2 or place == len(aucs):
        return place, None
    left, right = (position(degradation, tried[k].level) for k in (place - 1, place))
    share = (aucs[place - 1] - THRESHOLD) / (aucs[place - 1] - aucs[place])
    at = left + share * (right - left)
    return place, -at if degradation == "jpeg" else float(np.exp(at))


def _tried(run: FinishedRun, technique: str) -> dict[Degradation, list[LevelTried]]:
    """What fresh judges reached at each level tried at the last round."""
    at: dict[tuple[Degradation, float], list[MarginRecord]] = {}
    for record in run.records:
        if isinstance(record, MarginRecord) and (record.technique, record.round) == (
            technique,
            run.declared.last_round,
        ):
            if record.degradation not in LADDERS or record.level not in LADDERS[record.degradation].levels:
                tried_at = f"{record.degradation} {record.level:g}"
                raise ArenaError(f"{run.path / 'records.jsonl'}: margin at {tried_at}: expected a rung of a ladder")
            at.setdefault((record.degradation, record.level), []).append(record)
    tried: dict[Degradation, list[LevelTried]] = {}
    for (degradation, level), judges in at.items():
        tried.setdefault(degradation, []).append(_together(run, level, judges))
    return tried


def _together(run: FinishedRun, level: float, judges: Sequence[MarginRecord]) -> LevelTried:
    try:
        auc = estimate([[influence(read_scores(run.path, judge.scores)) for judge in judges]]).interval().clipped()
    except ValueError as error:
        raise ArenaError(f"{run.path / judges[0].scores.file}: {error}") from error
    return LevelTried(level, auc)


def _median(of_runs: Sequence[Margin]) -> Margin:
    """The median margin (of an even number the milder of the middle two), with the widest interval of all."""
    ordered = sorted(of_runs, key=lambda its: its.severity)
    degradation = ordered[0].degradation
    mild, harsh = [its.mild for its in ordered], [its.harsh for its in ordered]
    return replace(
        ordered[(len(ordered) - 1) // 2],
        mild=min((x for x in mild if x is not None), key=lambda x: position(degradation, x))
        if None not in mild
        else None,
        harsh=max((x for x in harsh if x is not None), key=lambda x: position(degradation, x))
        if None not in harsh
        else None,
    )
