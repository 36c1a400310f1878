"""The limit of a condition: where detectability levels off as rounds go on, beside its controls, oracle and floor.

The laws are of d', and rounds whose AUC is pinned next to 0 or 1 are left out (``arena.answer.laws``).

Most of the fall from round to round is longer training, which the controls have too. The limit therefore stands beside
theirs, and their difference beside the paired curve, whose points have seed, test reals and judges in common. No law is
fitted to the difference: the difference of two curves that level off may fall and rise again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from arena.answer.conditions import matched
from arena.answer.curve import Curve, RunCurve, by_round, curve, judged, run_curve
from arena.answer.laws import Saturation, saturation
from arena.answer.runs import FinishedRun, floor_auc, oracle_auc
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

    @property
    def left_out(self) -> list[float]:
        """The x of the points that were left out of the fit, since their AUC is pinned."""
        return [] if self.saturation is None else np.setdiff1d(self.curve.x, self.saturation.fitted).tolist()


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
        kind: ``stack`` or ``strongest``. The strongest is one technique for all rounds.
        fitted: the curve by round, and its limit.
        oracle: the oracle's AUC for the technique of the last round. None where it was not tested.
        floor: that of resampled reals of generator-train.
        controls: name of the control -> its limit.
    """

    kind: str
    fitted: FittedCurve
    oracle: Interval | None
    floor: Interval | None
    controls: Mapping[str, ControlLimit]

    def as_json(self) -> dict[str, object]:
        """Return the limit, oracle, floor, and the limit less that of each control, as plain containers."""
        differences = {name: each.difference and each.difference.limit for name, each in self.controls.items()}
        return {
            "limit": self.fitted.limit and self.fitted.limit.as_json("asymptote"),
            "reason": self.fitted.reason,
            "technique": self.fitted.curve.techniques[-1],
            "rounds_left_out": [int(x) for x in self.fitted.left_out],
            "less": {name: each and each.as_json("asymptote") for name, each in differences.items()},
            "oracle": self.oracle and self.oracle.as_json("auc"),
            "floor": self.floor and self.floor.as_json("auc"),
        }


@dataclass(frozen=True, eq=False)
class ConditionCurve:
    """The curve of one kind over the runs of a condition: of each run by round, and of all together."""

    runs: tuple[FinishedRun, ...]
    run_curves: tuple[RunCurve, ...]
    fitted: FittedCurve


def condition_curves(runs: Sequence[FinishedRun], fit: Sequence[str]) -> dict[str, ConditionCurve]:
    """Return the curve of the stack and that of the strongest technique, each where it was judged at the last round.

    The strongest is one of the techniques of ``fit``, by validation at the last round, and the same at every round.
    """
    every = [(run, judged(run)) for run in runs]
    curves = {}
    for kind, points in by_round(runs, fit).items():
        of_runs = tuple(
            run_curve([run.influences(judges[technique, round_index]) for round_index, technique in points.items()])
            for run, judges in every
        )
        fitted = fit_curve(curve(list(points), of_runs, list(points.values())))
        curves[kind] = ConditionCurve(tuple(runs), of_runs, fitted)
    return curves


def limits(
    curves: Mapping[str, ConditionCurve], controls: Mapping[str, Mapping[str, ConditionCurve]]
) -> dict[str, TechniqueLimit]:
    """Return the limit of every curve of a condition.

    Args:
        curves: kind -> curve of the condition.
        controls: name of a matched control -> kind -> its curve.
    """
    by_kind = {}
    for kind, ours in curves.items():
        matching = {name: theirs[kind] for name, theirs in controls.items() if kind in theirs}
        differences = {name: ControlLimit(their.fitted, _difference(ours, their)) for name, their in matching.items()}
        technique = ours.fitted.curve.techniques[-1]
        beside = oracle_auc(ours.runs, technique), floor_auc(ours.runs, technique)
        by_kind[kind] = TechniqueLimit(kind, ours.fitted, *beside, differences)
    return by_kind


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
    rounds, here, there = np.intersect1d(ours.fitted.curve.x, theirs.fitted.curve.x, return_indices=True)
    pairs = matched(ours.runs, theirs.runs)
    if not (len(rounds) and pairs):
        return None
    names = []
    for k, other_k in zip(here, there, strict=True):
        technique, beside = ours.fitted.curve.techniques[k], theirs.fitted.curve.techniques[other_k]
        names.append(technique if technique == beside else f"{technique} less {beside}")
    paired = [ours.run_curves[i].take(here).less(theirs.run_curves[j].take(there)) for i, j in pairs]
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
    if left_out := [int(x) for x in limit.fitted.left_out]:
        words += f" Left out, with an AUC next to 0 or 1: {_rounds(left_out)}."
    for name, control in limit.controls.items():
        if control.difference is not None:
            words += f" Less that of the control {name}: {interval_in_words(control.difference, '+')}."
    for name, auc in (("oracle", limit.oracle), ("floor of resampled reals", limit.floor)):
        if auc is not None:
            words += f" The {name} is at {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]."
    return words


def _rounds(rounds: Sequence[int]) -> str:
    """Such as "round 0", or "rounds 0 to 3": those left out are the first ones."""
    return f"round {rounds[0]}" if len(rounds) == 1 else f"rounds {rounds[0]} to {rounds[-1]}"


def interval_in_words(fitted: FittedCurve, sign: str = "") -> str:
    """Return a limit such as "0.912 [0.890, 0.931]", or why it is not identifiable."""
    if fitted.limit is None:
        return f"not identifiable ({fitted.reason})"
    value, low, high = (f"{number:{sign}.3f}" for number in fitted.limit)
    return f"{value} [{low}, {high}]"
