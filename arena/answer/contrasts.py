"""What being told changed: AUC in one condition less AUC in its matched control, paired run by run.

A pair of runs has the seed, the data seed and so the test reals in common; their fakes are their own. The reals' part
of the error then largely cancels, and judges are paired by their seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from arena.answer.estimate import Estimate, estimate
from arena.answer.findings import fit_techniques
from arena.answer.limit.limit import matched
from arena.answer.runs import Condition, FinishedRun
from arena.answer.verdict import ControlDifference, strongest_technique
from arena.metrics.auc import combine

STRONGEST = "strongest"
# Half of what a 95% interval leaves out.
_TAIL = 0.025


@dataclass(frozen=True)
class Contrast:
    """A paired difference of AUC with its 95% interval.

    Args:
        technique: its name; or ``strongest``, for the technique of each condition that its own validation names.
        difference: AUC in the condition less AUC in the control; negative where being told helped to hide.
        low: lower end of the interval.
        high: upper end of the interval.
        pairs: pairs of runs.
    """

    technique: str
    difference: float
    low: float
    high: float
    pairs: int


def contrasts(condition: Condition, control: Condition) -> list[Contrast]:
    """The contrast of every technique, and of the strongest; empty where no two runs have their seeds in common.

    A pair is left out where a generator of either was rolled back, since a part of its budget was lost, and where they
    branched from runs of different seeds.
    """
    pairs = [(condition.runs[i], control.runs[j]) for i, j in matched(condition.runs, control.runs)]
    if not pairs:
        return []
    techniques = pairs[0][0].declared.techniques
    found = [_contrast(name, _difference(pairs, name, name)) for name in techniques]
    ours, theirs = (strongest_technique(side, fit_techniques(side)) for side in zip(*pairs, strict=True))
    if ours is not None and theirs is not None:
        found.append(_contrast(STRONGEST, _difference(pairs, ours[0], theirs[0])))
    return [contrast for contrast in found if contrast is not None]


def control_difference(found: Sequence[Contrast]) -> ControlDifference | None:
    """The strongest technique's contrast, as the verdict states it."""
    for contrast in found:
        if contrast.technique == STRONGEST:
            return ControlDifference(contrast.difference, contrast.low, contrast.high)
    return None


def _difference(pairs: Sequence[tuple[FinishedRun, FinishedRun]], ours: str, theirs: str) -> Estimate | None:
    """AUC of one technique here less AUC of one there; None where a pair has no judge seed in common."""
    differences = []
    for number, (run, other) in enumerate(pairs):
        here, there = run.fresh(ours), other.fresh(theirs)
        seeds = sorted(here.keys() & there.keys())
        if not seeds:
            return None
        of_run = run.influences([here[seed] for seed in seeds], bank=2 * number)
        of_other = other.influences([there[seed] for seed in seeds], bank=2 * number + 1)
        differences.append([combine(pair, (1.0, -1.0)) for pair in zip(of_run, of_other, strict=True)])
    return estimate(differences)


def _contrast(technique: str, found: Estimate | None) -> Contrast | None:
    if found is None:
        return None
    return Contrast(technique, found.value, found.low(_TAIL), found.high(_TAIL), found.runs)
