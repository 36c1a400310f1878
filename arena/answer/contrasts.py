"""The effect of the generator's access: AUC in one condition less AUC in its matched control, paired run by run.

A pair of runs has the seed, the data seed and so the test reals in common. Each has fakes of its own. The error that
both owe to the reals largely cancels, and judges are paired by their seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from arena.answer.estimate import Estimate, estimate
from arena.answer.limit.curve import STRONGEST
from arena.answer.runs import FinishedRun
from arena.metrics.auc import combine
from arena.metrics.interval import Interval

Pair = tuple[FinishedRun, FinishedRun]


@dataclass(frozen=True)
class Contrast:
    """A paired difference of AUC.

    Args:
        technique: its name, or ``strongest`` for the technique that each condition's own validation chooses.
        difference: AUC in the condition less AUC in the control, with its 95% interval. Negative where access helped
            the generator to evade.
        pairs: pairs of runs.
    """

    technique: str
    difference: Interval
    pairs: int


def contrasts(pairs: Sequence[Pair], strongest: tuple[str, str] | None) -> list[Contrast]:
    """Return the contrast of every technique, and of the strongest.

    Args:
        pairs: one run of the condition and one of the control each, one pair or more.
        strongest: the strongest technique of the condition and that of the control, each by its own validation. None
            where one of them has none.
    """
    names = {name: (name, name) for name in pairs[0][0].declared.techniques}
    if strongest is not None:
        names[STRONGEST] = strongest
    differences = {name: _difference(pairs, ours, theirs) for name, (ours, theirs) in names.items()}
    return [Contrast(name, each.interval(), each.runs) for name, each in differences.items() if each is not None]


def _difference(pairs: Sequence[Pair], ours: str, theirs: str) -> Estimate | None:
    """AUC of one technique here less AUC of one there. None where a pair has no judge seed in common."""
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
