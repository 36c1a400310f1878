"""The frontier of quality and detectability: AUC of fresh judges against the kernel distance of the same fakes.

A generator that attacks detectors may be caught less because its images became better or worse, and not because it
evades. A contrast after equally many images of training mixes the two. At equal quality the control is read at the
kernel distance that the condition ended with, along the control's own rounds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from arena.answer.estimate import estimate
from arena.answer.runs import FinishedRun
from arena.metrics.auc import Influence, combine
from arena.metrics.interval import Interval
from arena.records.schema import QualityRecord, TrainingRecord

NO_COMMON_QUALITY = "no common quality"
"""Said where no round of the control had images as good, or none had images as bad."""
LARGEST_VARIANCE = 0.25


@dataclass(frozen=True)
class FrontierPoint:
    """The fakes of one round of a run.

    Args:
        round: of the generator.
        images: real images shown to the generator since it was initialised. NaN where none was recorded.
        kernel_distance: to reference reals.
        auc: technique -> mean AUC of its fresh judges.
    """

    round: int
    images: float
    kernel_distance: float
    auc: Mapping[str, float]


@dataclass(frozen=True)
class EqualQuality:
    """AUC in a condition less AUC in its control, at equal kernel distance.

    Args:
        technique: its name.
        difference: mean over pairs with its 95% interval. None where no pair of runs has a common quality.
        pairs: pairs of runs that have one.
        compared: pairs of runs that were compared.
    """

    technique: str
    difference: Interval | None
    pairs: int
    compared: int

    def as_json(self) -> dict[str, object]:
        """Return difference, interval and counts. The difference is null where there is no common quality."""
        ends = self.difference.as_json("difference") if self.difference else {"difference": None}
        return {"technique": self.technique, **ends, "pairs": self.pairs, "of": self.compared}


def frontier(run: FinishedRun) -> list[FrontierPoint]:
    """Return a point for every round of a run that was measured and judged.

    Its judges have the budget of every round. Those of a larger budget find more, and only the last round has them.
    """
    shown = {0: math.nan} | {
        # A response to round r makes the generator of round r + 1. The warm-up makes that of round 0.
        record.round + (record.purpose == "respond"): float(record.images_seen)
        for record in run.of_kind(TrainingRecord)
    }
    points = []
    for round_index, record in sorted(_measured(run).items()):
        judged = {name: run.equal_judges.get((name, round_index), {}) for name in run.declared.techniques}
        aucs = {name: fmean(test.auc for test in tests.values()) for name, tests in judged.items() if tests}
        if aucs:
            images = shown.get(round_index, math.nan)
            points.append(FrontierPoint(round_index, images, record.kernel_distance, aucs))
    return points


def at_equal_quality(
    pairs: Sequence[tuple[FinishedRun, FinishedRun]], techniques: Mapping[str, tuple[str, str]]
) -> list[EqualQuality]:
    """Return for each technique the difference at equal kernel distance, over pairs of a run and its control.

    The last round of the run is compared with the control, whose AUC is interpolated over log kernel distance between
    two successive rounds, the last two that enclose the run's distance. Nothing is extrapolated, and nothing
    interpolated between fakes that are resampled and fakes that are not. Judges are paired by their seed, and images
    where they are the same reals.

    Args:
        pairs: one run of the condition and one of the control each.
        techniques: name of the contrast -> technique of the condition and that of the control.
    """
    listed = []
    for name, chosen in techniques.items():
        found = [_difference(chosen, number, *pair) for number, pair in enumerate(pairs)]
        common = [each for each in found if each]
        difference = estimate(common).interval() if common else None
        listed.append(EqualQuality(name, difference, len(common), len(pairs)))
    return listed


def _difference(techniques: tuple[str, str], number: int, run: FinishedRun, control: FinishedRun) -> list[Influence]:
    """The difference of each judge seed in one pair of runs. Empty without a common quality."""
    measured = _measured(control)
    place = enclosing(run.quality.kernel_distance, {key: each.kernel_distance for key, each in measured.items()})
    if place is None:
        return []
    before, share = place
    if (before in control.resampled) != (before + 1 in control.resampled):
        return []
    ours, theirs = techniques
    cells = ((run, ours, run.declared.last_round), (control, theirs, before), (control, theirs, before + 1))
    judged = [side.equal_judges.get((technique, round_index), {}) for side, technique, round_index in cells]
    seeds = sorted(set.intersection(*(set(tests) for tests in judged)))
    influences = [
        cell[0].influences([tests[seed] for seed in seeds], number)  # equal index is equal z
        for cell, tests in zip(cells, judged, strict=True)
    ]
    variance = _variance_of_share(share, run.quality, measured[before], measured[before + 1])
    return [
        replace(
            difference := combine(parts, (1.0, share - 1.0, -share)),
            floor=difference.floor + (parts[2].value - parts[1].value) ** 2 * variance,
        )
        for parts in zip(*influences, strict=True)
    ]


def enclosing(distance: float, rounds: Mapping[int, float]) -> tuple[int, float] | None:
    """Return the last round whose distance and that of the next enclose a distance, and the share of the way between.

    Args:
        distance: kernel distance, of which the logarithm is taken.
        rounds: round -> kernel distance. One that is not above 0 has no logarithm, and encloses nothing.

    Returns:
        The round and the share in [0, 1]. None where no two successive rounds enclose the distance.

    >>> enclosing(0.02, {0: 0.08, 1: 0.04, 2: 0.01})
    (1, 0.5)
    >>> enclosing(0.09, {0: 0.08, 1: 0.04, 2: 0.01}) is None
    True
    """
    for before in sorted(rounds, reverse=True):
        ends = rounds[before], rounds.get(before + 1, 0.0)
        if not (min(*ends, distance) > 0 and min(ends) <= distance <= max(ends)):
            continue
        whole = math.log(ends[1] / ends[0])
        return before, math.log(distance / ends[0]) / whole if whole else 0.0
    return None


def _variance_of_share(share: float, ours: QualityRecord, before: QualityRecord, after: QualityRecord) -> float:
    """Variance of the share of the way, owed to the errors of the three kernel distances (delta method).

    It is at most 1/4, the largest of any variable in [0, 1], as where two rounds are equally good.
    """
    whole = math.log(after.kernel_distance / before.kernel_distance)
    if not whole:
        return LARGEST_VARIANCE
    errors = [record.kernel_distance_error / record.kernel_distance for record in (ours, before, after)]
    weights = (1.0, 1.0 - share, share)
    variance = sum((weight * error / whole) ** 2 for weight, error in zip(weights, errors, strict=True))
    return min(LARGEST_VARIANCE, variance)


def _measured(run: FinishedRun) -> dict[int, QualityRecord]:
    """Round -> the quality of its fakes."""
    return {record.round: record for record in run.of_kind(QualityRecord)}
