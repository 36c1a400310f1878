"""The limit along other axes than rounds: the last round's AUC over conditions that differ in one resource alone.

The laws are fitted over doublings, x = log2(resource / least resource): an exponential in x is a power law of the
resource (the form of learning curves: Hestness et al. 2017), and a power law in x is a slower one, of its logarithm.
Either has a limit as the resource grows without end. More of a judge's data, budget or capacity lifts AUC towards it;
more of a generator's lowers it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from arena.answer.answer import Answer
from arena.answer.limit.curve import Judged, by_round, curve, judged, point, run_curve
from arena.answer.limit.limit import ASSUMPTION, FittedCurve, fit_curve
from arena.answer.runs import FinishedRun
from arena.answer.sentences import interval_in_words, reason_in_words
from arena.config.saved import canonical, flatten

FEWEST_CONDITIONS = 3
"""Fewer make no curve."""

Owner = Literal["generator", "judge"]
# What there can be more of, by the last part of its key, and by the key's beginning whose it is.
_RESOURCES = (
    "images",
    "response_images",
    "warm_up_images",
    "reals",
    "train",
    "width",
    "depth",
    "mapping_depth",
    "trees",
)
_OWNERS: dict[str, Owner] = {
    "schedule": "generator",
    "generator": "generator",
    "judge": "judge",
    "battery": "judge",
    "bank": "judge",
}


@dataclass(frozen=True, eq=False)
class Axis:
    """A curve along one resource.

    Args:
        key: of the config, such as ``judge.reals``.
        owner: the generator or the judges.
        among: names of the conditions, in the order of the points.
        resource: (K,) its amounts, increasing.
        kind: ``stack`` or ``strongest``.
        fitted: the curve over doublings of the least amount, and its limit.
    """

    key: str
    owner: Owner
    among: tuple[str, ...]
    resource: tuple[float, ...]
    kind: str
    fitted: FittedCurve


def axes(groups: Sequence[Answer]) -> list[Axis]:
    """Every axis along which three conditions or more, otherwise equal, differ and have runs of equal seeds.

    Raises:
        ArenaError: if a score file is missing, not the one of its record, or cannot be scored.
    """
    settings = [dict(flatten(json.loads(canonical(group.runs[0].config)))) for group in groups]
    found = []
    for key in sorted(set().union(*settings)):
        owner = _OWNERS.get(key.split(".")[0])
        if owner is None or key.split(".")[-1] not in _RESOURCES:
            continue
        lines: dict[str, dict[float, Answer]] = {}
        for group, its in zip(groups, settings, strict=True):
            amount = _amount(key, its.get(key), group.runs[0])
            if amount is not None:
                rest = json.dumps({name: value for name, value in its.items() if name != key}, sort_keys=True)
                lines.setdefault(rest, {})[amount] = group
        for line in lines.values():
            if len(line) >= FEWEST_CONDITIONS:
                found += _along(key, owner, dict(sorted(line.items())))
    return found


def _amount(key: str, value: object, run: FinishedRun) -> float | None:
    """The number set; of ``judge.reals=null``, which is all there are, the number that judged."""
    if key == "judge.reals" and value is None:
        tested = [judge.n_real for judges in judged(run).values() for judge in judges.values()]
        return float(max(tested)) if tested else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    return float(value)


def _along(key: str, owner: Owner, line: Mapping[float, Answer]) -> list[Axis]:
    """One axis for the stack and one for the strongest, of the seeds that all conditions were run with."""
    by_seed = [
        {(run.seed, run.declared.data_seed, str(run.origin_seed)): run for run in group.runs if not run.faults}
        for group in line.values()
    ]
    seeds = sorted(set.intersection(*(set(runs) for runs in by_seed)))
    if not seeds:
        return []
    columns = [_last(group, [runs[seed] for seed in seeds]) for group, runs in zip(line.values(), by_seed, strict=True)]
    x = np.log2(np.array(list(line)) / min(line))
    found = []
    for kind in columns[0]:
        if not all(kind in column for column in columns):
            continue
        runs = [run_curve([point(*column[kind][1][number]) for column in columns]) for number in range(len(seeds))]
        fitted = fit_curve(curve(list(x), runs, [column[kind][0] for column in columns]))
        among = tuple(group.condition.name for group in line.values())
        found.append(Axis(key, owner, among, tuple(line), kind, fitted))
    return found


def _last(group: Answer, runs: Sequence[FinishedRun]) -> dict[str, tuple[str, list[tuple[FinishedRun, Judged]]]]:
    """Kind -> the technique at the last round, and each run with its judges there."""
    last = runs[0].declared.last_round
    return {
        kind: (points[last], [(run, judged(run)[points[last], last]) for run in runs])
        for kind, points in by_round(runs, group.fit(runs)).items()
        if last in points
    }


def axis_in_words(found: Axis) -> str:
    """The limit along one resource of a sweep."""
    whose = "the judges'" if found.owner == "judge" else "the generator's"
    said = f"AUC {interval_in_words(found.fitted)} as it grows, {ASSUMPTION}" if found.fitted.limit else reason_in_words(found.fitted)
    return f"Limit along {found.key} ({whose}), {len(found.resource)} amounts ({found.kind}): {said}."
