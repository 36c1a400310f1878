"""The limit along one resource of a sweep: the last round's AUC over conditions that differ in that resource alone.

The laws are fitted over doublings, x = log2(resource / least resource). An exponential in x is a power law of the
resource, the form of learning curves (Hestness et al. 2017). A power law in x is slower, a power of its logarithm. Both
have a limit as the resource grows without end. More data, budget or capacity of a judge raises AUC towards it, more of
the generator's lowers it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from arena.answer.answer import Answer
from arena.answer.curve import by_round, curve, judged, run_curve
from arena.answer.findings import fit_techniques
from arena.answer.limit import ASSUMPTION, FittedCurve, fit_curve, interval_in_words
from arena.answer.runs import FinishedRun
from arena.config.saved import canonical, flatten

Owner = Literal["generator", "judge"]
_RESOURCES = {
    *("images", "response_images", "warm_up_images", "reals", "train"),
    *("width", "depth", "mapping_depth", "trees"),
}
"""Last part of the keys of resources."""
_OWNERS: dict[str, Owner] = {
    "schedule": "generator",
    "generator": "generator",
    "judge": "judge",
    "battery": "judge",
    "bank": "judge",
}
"""First part of the key -> owner of the resource."""


@dataclass(frozen=True, eq=False)
class Axis:
    """A curve along one resource.

    Args:
        key: of the config, such as ``judge.reals``.
        owner: of the resource.
        resource: (K,) its amounts, increasing.
        kind: ``stack`` or ``strongest``.
        fitted: the curve over doublings of the least amount, and its limit.
    """

    key: str
    owner: Owner
    resource: tuple[float, ...]
    kind: str
    fitted: FittedCurve


def axes(answers: Sequence[Answer]) -> list[Axis]:
    """Return every axis along which three conditions or more differ, if otherwise equal, with seeds in common."""
    settings = [dict(flatten(json.loads(canonical(answer.runs[0].config)))) for answer in answers]
    axes = []
    for key in sorted(set().union(*settings)):
        owner = _OWNERS.get(key.split(".")[0])
        if owner is None or key.split(".")[-1] not in _RESOURCES:
            continue
        lines: dict[str, dict[float, Answer]] = {}
        for answer, own in zip(answers, settings, strict=True):
            amount = _amount(key, own.get(key), answer.runs[0])
            if amount is not None:
                rest = json.dumps({name: value for name, value in own.items() if name != key}, sort_keys=True)
                lines.setdefault(rest, {})[amount] = answer
        for line in lines.values():
            if len(line) >= 3:
                axes += _along(key, owner, dict(sorted(line.items())))
    return axes


def _amount(key: str, value: object, run: FinishedRun) -> float | None:
    """The number set. For ``judge.reals=null``, which takes all reals, the number that judged."""
    if key == "judge.reals" and value is None:
        tested = [judge.n_real for judges in judged(run).values() for judge in judges]
        return float(max(tested)) if tested else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    return float(value)


def _along(key: str, owner: Owner, line: Mapping[float, Answer]) -> list[Axis]:
    """One axis for the stack and one for the strongest, over the seeds that all conditions were run with."""
    by_seed = [
        {(run.seed, run.declared.data_seed, str(run.origin_seed)): run for run in answer.runs if not run.faults}
        for answer in line.values()
    ]
    seeds = sorted(set.intersection(*(set(runs) for runs in by_seed)))
    if not seeds:
        return []
    runs = [[of_condition[seed] for seed in seeds] for of_condition in by_seed]
    x = np.log2(np.array(list(line)) / min(line))
    axes = []
    for kind, technique in _last(list(line.values())[-1], runs[-1]).items():
        judges = [[judged(run).get((technique, run.declared.last_round)) for run in column] for column in runs]
        if not all(all(column) for column in judges):
            continue
        curves = [
            run_curve(
                [column[number].influences(of_seed[number] or []) for column, of_seed in zip(runs, judges, strict=True)]
            )
            for number in range(len(seeds))
        ]
        axes.append(Axis(key, owner, tuple(line), kind, fit_curve(curve(list(x), curves, [technique] * len(line)))))
    return axes


def _last(answer: Answer, runs: Sequence[FinishedRun]) -> dict[str, str]:
    """Kind -> the technique of the whole curve: the strongest where there is most of the resource."""
    last = runs[0].declared.last_round
    return {kind: points[last] for kind, points in by_round(runs, fit_techniques(answer.findings_over(runs))).items()}


def axis_in_words(axis: Axis) -> str:
    """Return the limit along one resource of a sweep as a sentence."""
    owner = "the judges'" if axis.owner == "judge" else "the generator's"
    limit = interval_in_words(axis.fitted)
    limit = f"AUC levels off at {limit} {ASSUMPTION}" if axis.fitted.limit else limit
    return f"Limit along {axis.key} ({owner}), {len(axis.resource)} amounts ({axis.kind}): {limit}."
