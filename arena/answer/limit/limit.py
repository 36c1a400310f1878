"""The limit of a condition: where detectability levels off as rounds go on, beside its matched controls and the oracle.

Most of a fall by round is mere longer training, which the controls have too: so the limit stands beside theirs, and
their difference beside the paired curve, whose points have seed, test reals and judges in common. The difference of two
curves that level off need not follow a law of its own (it may fall and rise again), so no law is fitted to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from arena.answer.findings import fit_techniques
from arena.answer.limit.curve import STRONGEST, Curve, CurvePoint, RunCurve, by_round, curve, judged, point, run_curve
from arena.answer.limit.laws import Saturation, saturation
from arena.answer.runs import Condition, FinishedRun

SUPPOSED = "if a third of the way has been seen"
"""What every limit supposes: no data tell a flat curve from one about to move."""


@dataclass(frozen=True)
class Limit:
    """Where AUC, or a difference of two, levels off, with its 95% interval."""

    asymptote: float
    low: float
    high: float


@dataclass(frozen=True)
class Floor:
    """AUC of reals against held-out reals, with its 95% interval: what a perfect generator would be at."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class CurveLimit:
    """A curve and its limit.

    Args:
        curve: its points.
        limit: where they level off; None where that is not identifiable.
        reason: why it is not, in words; otherwise empty.
        fit: the laws; None of a difference, which need not follow one.
    """

    curve: Curve
    limit: Limit | None
    reason: str
    fit: Saturation | None


@dataclass(frozen=True, eq=False)
class ControlLimit:
    """A matched control's curve, and the condition's less the control's over the pairs of runs they have.

    ``difference`` is None where no two runs have their seeds in common.
    """

    its: CurveLimit
    difference: CurveLimit | None


@dataclass(frozen=True, eq=False)
class TechniqueLimit:
    """The limit of the stack, or of the strongest technique.

    Args:
        kind: ``stack`` or ``strongest``.
        its: the curve by round, and its limit.
        floor: the oracle's AUC for the technique of the last round; None where it was not tested.
        controls: by the control's name.
    """

    kind: str
    its: CurveLimit
    floor: Floor | None
    controls: Mapping[str, ControlLimit]


def limits(groups: Sequence[Condition]) -> dict[str, dict[str, TechniqueLimit]]:
    """Of each condition, by its name: the limits of the stack and of the strongest technique, where judged at all.

    Raises:
        ArenaError: if a score file is missing, not the one of its record, or cannot be scored.
    """
    measured = {group.name: _measure(group.runs) for group in groups}
    found: dict[str, dict[str, TechniqueLimit]] = {}
    for group in groups:
        controls = group.controls(groups)
        found[group.name] = {
            kind: TechniqueLimit(
                kind,
                its.limit,
                _floor(group.runs, its.limit.curve.techniques[-1]),
                {
                    name: ControlLimit(theirs.limit, _difference((group.runs, its), (control.runs, theirs)))
                    for name, control in controls.items()
                    if (theirs := measured[control.name].get(kind)) is not None
                },
            )
            for kind, its in measured[group.name].items()
        }
    return found


def own_limits(runs: Sequence[FinishedRun]) -> dict[str, TechniqueLimit]:
    """The limits of one run, or of the runs of one condition, without its controls."""
    return {
        kind: TechniqueLimit(kind, its.limit, _floor(runs, its.limit.curve.techniques[-1]), {})
        for kind, its in _measure(runs).items()
    }


def of_verdict(found: Mapping[str, TechniqueLimit]) -> Limit | None:
    """The limit that a verdict states: of the strongest technique, as its AUC is."""
    return found[STRONGEST].its.limit if STRONGEST in found else None


def matched(ours: Sequence[FinishedRun], theirs: Sequence[FinishedRun]) -> list[tuple[int, int]]:
    """Indices of the runs that pair: with equal seeds and start, and no generator that was rolled back."""
    return [
        (i, j)
        for i, run in enumerate(ours)
        for j, other in enumerate(theirs)
        if (run.seed, run.declared.data_seed) == (other.seed, other.declared.data_seed)
        and run.origin_seed == other.origin_seed
        and not (run.faults or other.faults)
    ]


@dataclass(frozen=True, eq=False)
class _Measured:
    """One kind's curve: of each run by round, and together."""

    rounds: tuple[int, ...]
    runs: tuple[RunCurve, ...]
    limit: CurveLimit


def _measure(runs: Sequence[FinishedRun]) -> dict[str, _Measured]:
    """Every score file is read once, though the strongest technique often is the stack."""
    passing = by_round(runs, fit_techniques(runs))
    wanted = {(technique, round_index) for points in passing.values() for round_index, technique in points.items()}
    tested: list[dict[tuple[str, int], CurvePoint]] = []
    for run in runs:
        records = judged(run)
        tested.append({key: point(run, records[key]) for key in wanted})
    found = {}
    for kind, points in passing.items():
        of_runs = tuple(run_curve([of_run[t, round_index] for round_index, t in points.items()]) for of_run in tested)
        found[kind] = _Measured(tuple(points), of_runs, fitted(curve(list(points), of_runs, list(points.values()))))
    return found


def fitted(its: Curve) -> CurveLimit:
    """A curve with the laws that fit it, and its limit where they agree on one."""
    fit = saturation(its.x, its.values, its.covariance)
    if fit.asymptote is None or fit.low is None or fit.high is None:
        return CurveLimit(its, None, fit.reason, fit)
    return CurveLimit(its, Limit(fit.asymptote, fit.low, fit.high), "", fit)


def less(ours: Limit, theirs: Limit) -> Limit:
    """The difference of two limits, each end's distances squared and added (Zou & Donner 2008).

    They are taken as independent. The reals that both owe to make their errors go together, so that the interval is
    rather too wide.
    """
    difference = ours.asymptote - theirs.asymptote
    return Limit(
        difference,
        difference - float(np.hypot(ours.asymptote - ours.low, theirs.high - theirs.asymptote)),
        difference + float(np.hypot(ours.high - ours.asymptote, theirs.asymptote - theirs.low)),
    )


def _difference(
    ours: tuple[Sequence[FinishedRun], _Measured], theirs: tuple[Sequence[FinishedRun], _Measured]
) -> CurveLimit | None:
    """The paired curve of AUC here less AUC there, over the rounds that both were judged at."""
    (our_runs, here), (their_runs, there) = ours, theirs
    rounds = sorted(set(here.rounds) & set(there.rounds))
    pairing = matched(our_runs, their_runs)
    if not (rounds and pairing):
        return None
    at, other_at = ([side.rounds.index(round_index) for round_index in rounds] for side in (here, there))
    paired = [here.runs[i].take(at).less(there.runs[j].take(other_at)) for i, j in pairing]
    names = [
        one if one == other else f"{one} less {other}"
        for one, other in zip(
            (here.limit.curve.techniques[k] for k in at),
            (there.limit.curve.techniques[k] for k in other_at),
            strict=True,
        )
    ]
    its = curve(rounds, paired, names)
    one, other = here.limit, there.limit
    if one.limit is None or other.limit is None:
        return CurveLimit(its, None, f"{'its own' if one.limit is None else 'the control’s'} limit is not", None)
    return CurveLimit(its, less(one.limit, other.limit), "", None)


def _floor(runs: Sequence[FinishedRun], technique: str) -> Floor | None:
    tests = [record for run in runs for record in run.oracle(technique)]
    if not tests:
        return None
    auc, low, high = np.mean([(test.found, test.low, test.high) for test in tests], axis=0)
    return Floor(float(auc), float(low), float(high))
