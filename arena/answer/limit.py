"""The limit of a condition: where detectability levels off as rounds go on, beside its matched controls and the oracle.

Most of the fall from round to round is longer training, which the controls have too. The limit therefore stands beside
theirs, and their difference beside the paired curve, whose points have seed, test reals and judges in common. No law is
fitted to the difference: the difference of two curves that level off may fall and rise again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from arena.answer.conditions import matched
from arena.answer.curve import Curve, CurvePoint, RunCurve, by_round, curve, judged, point, run_curve
from arena.answer.laws import Saturation, saturation
from arena.answer.runs import FinishedRun, oracle_floor
from arena.metrics.interval import Interval

ASSUMPTION = "if a third of the change has been seen"
"""Every limit assumes it: no data can tell a flat curve from one that is about to move."""


@dataclass(frozen=True, eq=False)
class FittedCurve:
    """A curve and its limit.

    Args:
        curve: its points.
        limit: AUC, or difference of two, at which they level off, with its 95% interval. None where that is not
            identifiable.
        reason: why it is not, in words. Empty where there is a limit.
        saturation: the laws fitted to the curve. None for a difference, which need not follow one.
    """

    curve: Curve
    limit: Interval | None
    reason: str
    saturation: Saturation | None


@dataclass(frozen=True, eq=False)
class ControlLimit:
    """A matched control's curve, and the condition's less the control's over their pairs of runs.

    ``difference`` is None where no two runs have their seeds in common.
    """

    fitted: FittedCurve
    difference: FittedCurve | None


@dataclass(frozen=True, eq=False)
class TechniqueLimit:
    """The limit of the stack, or of the strongest technique.

    Args:
        kind: ``stack`` or ``strongest``.
        fitted: the curve by round, and its limit.
        floor: the oracle's AUC for the technique of the last round. None where it was not tested.
        controls: name of the control -> its limit.
    """

    kind: str
    fitted: FittedCurve
    floor: Interval | None
    controls: Mapping[str, ControlLimit]


@dataclass(frozen=True, eq=False)
class ConditionCurve:
    """The curve of one kind over the runs of a condition: of each run by round, and of all together."""

    runs: tuple[FinishedRun, ...]
    rounds: tuple[int, ...]
    run_curves: tuple[RunCurve, ...]
    fitted: FittedCurve


def condition_curves(runs: Sequence[FinishedRun], fit: Sequence[str]) -> dict[str, ConditionCurve]:
    """Return the curve of the stack and that of the strongest technique, each where it was judged at the last round.

    Args:
        runs: one run, or the runs of one condition.
        fit: the techniques of single images whose judges are fit.

    Raises:
        ArenaError: if a score file is missing, not the one of its record, or cannot be scored.
    """
    passing = by_round(runs, fit)
    wanted = {(technique, round_index) for points in passing.values() for round_index, technique in points.items()}
    tested: list[dict[tuple[str, int], CurvePoint]] = []
    for run in runs:
        records = judged(run)
        tested.append({key: point(run, records[key]) for key in wanted})
    curves = {}
    for kind, points in passing.items():
        of_runs = tuple(run_curve([of_run[t, round_index] for round_index, t in points.items()]) for of_run in tested)
        fitted = fit_curve(curve(list(points), of_runs, list(points.values())))
        curves[kind] = ConditionCurve(tuple(runs), tuple(points), of_runs, fitted)
    return curves


def limits(
    curves: Mapping[str, ConditionCurve], controls: Mapping[str, Mapping[str, ConditionCurve]]
) -> dict[str, TechniqueLimit]:
    """Return the limit of every curve of a condition.

    Args:
        curves: kind -> curve of the condition.
        controls: name of a matched control -> kind -> its curve.
    """
    return {
        kind: TechniqueLimit(
            kind,
            ours.fitted,
            oracle_floor(ours.runs, ours.fitted.curve.techniques[-1]),
            {
                name: ControlLimit(theirs[kind].fitted, _difference(ours, theirs[kind]))
                for name, theirs in controls.items()
                if kind in theirs
            },
        )
        for kind, ours in curves.items()
    }


def fit_curve(points: Curve) -> FittedCurve:
    """Fit both laws to a curve, and return its limit where they agree on one."""
    fit = saturation(points.x, points.values, points.covariance)
    return FittedCurve(points, fit.asymptote, fit.reason, fit)


def less(ours: Interval, theirs: Interval) -> Interval:
    """Return the difference of two limits: the distances of each end are squared and added (Zou & Donner 2008).

    The limits are taken as independent. Both err alike on the reals that they share, so the interval is too wide.

    >>> less(Interval(6.0, 3.0, 9.0), Interval(4.0, 0.0, 8.0))
    Interval(value=2.0, low=-3.0, high=7.0)
    """
    difference = ours.value - theirs.value
    return Interval(
        difference,
        difference - float(np.hypot(ours.value - ours.low, theirs.high - theirs.value)),
        difference + float(np.hypot(ours.high - ours.value, theirs.value - theirs.low)),
    )


def _difference(ours: ConditionCurve, theirs: ConditionCurve) -> FittedCurve | None:
    """The paired curve of AUC here less AUC there, over the rounds that both were judged at."""
    rounds = sorted(set(ours.rounds) & set(theirs.rounds))
    pairs = matched(ours.runs, theirs.runs)
    if not (rounds and pairs):
        return None
    here, there = ([side.rounds.index(round_index) for round_index in rounds] for side in (ours, theirs))
    paired = [ours.run_curves[i].take(here).less(theirs.run_curves[j].take(there)) for i, j in pairs]
    names = [
        one if one == other else f"{one} less {other}"
        for one, other in zip(
            (ours.fitted.curve.techniques[k] for k in here),
            (theirs.fitted.curve.techniques[k] for k in there),
            strict=True,
        )
    ]
    difference = curve(rounds, paired, names)
    one, other = ours.fitted.limit, theirs.fitted.limit
    if one is None or other is None:
        unknown = "its own" if one is None else "the control’s"
        return FittedCurve(difference, None, f"{unknown} limit is not identifiable", None)
    return FittedCurve(difference, less(one, other), "", None)


def limits_in_words(limits: Mapping[str, TechniqueLimit]) -> list[str]:
    """Return one text for each curve, so one for both kinds where the stack is the strongest in every round."""
    by_curve: dict[tuple[str, ...], TechniqueLimit] = {}
    for limit in limits.values():
        by_curve.setdefault(limit.fitted.curve.techniques, limit)
    return [_limit(limit) for limit in by_curve.values()]


def _limit(limit: TechniqueLimit) -> str:
    """Such as "Limit (stack): AUC levels off at 0.912 [0.890, 0.931] if ... The oracle is at 0.500 [0.480, 0.520]."."""
    if limit.fitted.limit is None:
        return f"Limit ({limit.kind}): {interval_in_words(limit.fitted)}."
    words = f"Limit ({limit.kind}): AUC levels off at {interval_in_words(limit.fitted)} {ASSUMPTION}."
    for name, control in limit.controls.items():
        if control.difference is not None:
            words += f" Less that of the control {name}: {interval_in_words(control.difference, '+')}."
    if limit.floor is not None:
        words += f" The oracle is at {limit.floor.value:.3f} [{limit.floor.low:.3f}, {limit.floor.high:.3f}]."
    return words


def interval_in_words(fitted: FittedCurve, sign: str = "") -> str:
    """Return a limit such as "0.912 [0.890, 0.931]", or why it is not identifiable."""
    if fitted.limit is None:
        return f"not identifiable ({fitted.reason})"
    value, low, high = (f"{number:{sign}.3f}" for number in fitted.limit)
    return f"{value} [{low}, {high}]"
