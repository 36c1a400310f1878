"""The distance between real and fake images from the held-out scores of a technique: bounds, bags and margins.

A margin is the noise, blur, JPEG or shrinking of reals and fakes alike that a detection withstands. An AUC close to 1
does not tell how far real and fake are from being confused. The level of a degradation at which the AUC of fresh judges
of degraded images falls to ``THRESHOLD`` does.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from arena.answer.bags import BagCurve, ImageCount, ImagesNeeded, bag_curve, images_needed
from arena.answer.divergence import LowerBound, calibrated_scores, jensen_shannon, total_variation
from arena.answer.estimate import estimate
from arena.answer.findings import technique_estimate
from arena.answer.runs import FinishedRun, read_influence
from arena.config.schema import BAG
from arena.core.degradations import LADDERS, THRESHOLD, Degradation
from arena.core.errors import ArenaError
from arena.metrics.interval import Interval
from arena.records.schema import MarginRecord
from arena.records.store import read_scores

ThresholdCrossing = Literal["undegraded", "below the mildest tried", "between", "beyond the worst tried"]


@dataclass(frozen=True)
class LevelTried:
    """A level of a degradation, and AUC of fresh judges at it with its 95% interval."""

    level: float
    auc: Interval


@dataclass(frozen=True)
class Margin:
    """The level of a degradation at which AUC falls to ``THRESHOLD``, in the unit of ``arena.core.degradations``.

    Args:
        degradation: its kind.
        tried: the levels measured, the mildest first. The first is that of undegraded images.
        fall: the levels between which AUC falls, in words.
        level: where a straight line between the two levels around the fall meets the threshold. None if ``fall`` is
            not "between".
        mild: mild end of the 95% interval of the level, where the lower ends of AUC fall. None if it lies below the
            mildest level tried.
        harsh: harsh end, where the upper ends of AUC fall. None if it lies beyond the worst level tried.
    """

    degradation: Degradation
    tried: tuple[LevelTried, ...]
    fall: ThresholdCrossing
    level: float | None
    mild: float | None
    harsh: float | None

    @property
    def reason(self) -> str:
        """Why there is no level, in words. Empty where there is one."""
        match self.fall:
            case "undegraded":
                return f"AUC is {self.tried[0].auc.value:.2f} without any, no more than {THRESHOLD:g} already"
            case "below the mildest tried":
                return f"{self.fall}, {self.tried[1].level:g}"
            case "beyond the worst tried":
                return f"{self.fall}, {self.tried[-1].level:g}"
            case "between":
                return ""


def margin(degradation: Degradation, tried: Sequence[LevelTried]) -> Margin:
    """Return where AUC falls to the threshold: before the mildest level at which it is no higher.

    An AUC that rises again at a harsher level does not count. Between two levels the line is straight in AUC and in the
    logarithm of the level, or in the quality of a JPEG. The undegraded image has no place on that scale.

    Args:
        degradation: its kind.
        tried: the undegraded images first, then one level or more in any order.
    """
    undegraded, *levels = tried
    ordered = (undegraded, *sorted(levels, key=lambda each: position(degradation, each.level)))
    at, low, high = (
        _first_fall([getattr(each.auc, end) for each in ordered], degradation, ordered) for end in Interval._fields
    )
    worst = len(ordered)
    fall: ThresholdCrossing = get_args(ThresholdCrossing)[3 if at[0] == worst else min(at[0], 2)]
    mild = ordered[-1].level if low[0] == worst else low[1]
    harsh = ordered[1].level if high[0] <= 1 else high[1]
    return Margin(degradation, ordered, fall, at[1], mild, harsh)


def position(degradation: Degradation, level: float) -> float:
    """Return the place of a level on the scale of interpolation and figures. Harsher levels are higher.

    >>> position("jpeg", 90.0)
    -90.0
    """
    return -level if degradation == "jpeg" else float(np.log(level))


def _first_fall(
    aucs: Sequence[float], degradation: Degradation, tried: Sequence[LevelTried]
) -> tuple[int, float | None]:
    """Index of the first AUC at the threshold or below (their number if none), and the level of the crossing."""
    place = next((k for k, auc in enumerate(aucs) if auc <= THRESHOLD), len(aucs))
    if place < 2 or place == len(aucs):
        return place, None
    left, right = (position(degradation, tried[k].level) for k in (place - 1, place))
    share = (aucs[place - 1] - THRESHOLD) / (aucs[place - 1] - aucs[place])
    at = left + share * (right - left)
    return place, -at if degradation == "jpeg" else float(np.exp(at))


def margins(runs: Sequence[FinishedRun], technique: str) -> dict[Degradation, Margin]:
    """Return the margin of a technique against each degradation that it was tried with on every run.

    For several runs it is the median one, with an interval from the mildest end of any to the harshest. A bisection
    tries other levels in other runs, so their AUCs cannot be averaged level by level.
    """
    of_runs = [_of_run(run, technique) for run in runs]
    shared = [kind for kind in get_args(Degradation) if all(kind in of_run for of_run in of_runs)]
    return {kind: _median(kind, [of_run[kind] for of_run in of_runs]) for kind in shared}


def _of_run(run: FinishedRun, technique: str) -> dict[Degradation, Margin]:
    """The margins of one run, from the AUC of fresh judges at each level tried at the last round."""
    at: dict[tuple[Degradation, float], list[MarginRecord]] = {}
    for record in run.of_kind(MarginRecord):
        if (record.technique, record.round) == (technique, run.declared.last_round):
            if record.degradation not in LADDERS or record.level not in LADDERS[record.degradation].levels:
                rung = f"{record.degradation} {record.level:g}"
                raise ArenaError(f"{run.path / 'records.jsonl'}: margin at {rung}: expected a rung of a ladder")
            at.setdefault((record.degradation, record.level), []).append(record)
    undegraded = technique_estimate([run], technique) if at else None
    if undegraded is None:
        return {}
    tried: dict[Degradation, list[LevelTried]] = {}
    for (degradation, level), judges in at.items():
        none = LevelTried(LADDERS[degradation].none, undegraded.interval().clipped())
        auc = estimate([[read_influence(run.path, judge.scores) for judge in judges]])
        tried.setdefault(degradation, [none]).append(LevelTried(level, auc.interval().clipped()))
    return {degradation: margin(degradation, levels) for degradation, levels in tried.items()}


def _median(degradation: Degradation, of_runs: Sequence[Margin]) -> Margin:
    """The median margin (of an even number the milder of the middle two), with the widest interval of all."""

    def place(level: float) -> float:
        return position(degradation, level)

    def severity(margin: Margin) -> tuple[int, float]:
        crossing = get_args(ThresholdCrossing).index(margin.fall)
        return crossing, 0.0 if margin.level is None else place(margin.level)

    def widest(choose: Callable[..., float], ends: Sequence[float | None]) -> float | None:
        known = [end for end in ends if end is not None]
        return choose(known, key=place) if len(known) == len(ends) else None

    return dataclasses.replace(
        sorted(of_runs, key=severity)[(len(of_runs) - 1) // 2],
        mild=widest(min, [margin.mild for margin in of_runs]),
        harsh=widest(max, [margin.harsh for margin in of_runs]),
    )


@dataclass(frozen=True)
class Distance:
    """The distance between the laws of real and fake, from a technique's fresh judges of the last round.

    Args:
        technique: its name.
        total_variation: lower bound on the greatest difference of the two probabilities of one event. A judge exists
            that is right in (1 + TV) / 2 of cases or more, at equal priors.
        jensen_shannon_bits: lower bound on the mean information of an image about its label, in bits.
        bags: share of right decisions and AUC by number of images judged together.
        images: images from one source that make a decision right 99 times in 100.
        margins: degradation -> the level at which AUC falls to 3/4. Empty where none was tried.
        reasons: why a figure is missing, in words.
    """

    technique: str
    total_variation: LowerBound | None
    jensen_shannon_bits: LowerBound | None
    bags: BagCurve | None
    images: ImagesNeeded | None
    margins: Mapping[Degradation, Margin]
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return the figures that a verdict states, each None where unknown. Of a divergence it is the lower bound."""
        return {
            "technique": self.technique,
            "total_variation": self.total_variation and self.total_variation.low,
            "jensen_shannon_bits": self.jensen_shannon_bits and self.jensen_shannon_bits.low,
            "images": self.images and dataclasses.asdict(self.images.measured),
            "images_chernoff": self.images and dataclasses.asdict(self.images.chernoff),
            "margins": {degradation: margin.level for degradation, margin in self.margins.items()},
            "reasons": self.reasons,
        }


def distance(runs: Sequence[FinishedRun], technique: str) -> Distance:
    """Return the distance that a technique's held-out scores show.

    Every figure is of images after the evidence path, as judges see them. No figure corrects for the choice of the
    technique, so it must be chosen on validation. Over several runs, divergences are of the mean over such runs.
    """
    by_degradation = margins(runs, technique)
    reasons = [f"{name}: {margin.reason}" for name, margin in by_degradation.items() if margin.reason]
    if not by_degradation:
        reasons.append("margins: no degradation was tried")
    unknown = ""
    scores = []
    if technique == BAG:
        unknown = f"{BAG}: its scores are of many images together, not of one"
    elif any(len(run.fresh(technique)) < run.declared.judge_seeds for run in runs):
        unknown = f"{technique}: fewer than {runs[0].declared.judge_seeds} fresh judges on record"
    else:
        try:
            for run in runs:
                judges = [record for _, record in sorted(run.fresh(technique).items())]
                scores.append(calibrated_scores([read_scores(run.path, judge.scores) for judge in judges]))
        except ValueError as error:
            unknown = f"{technique}: {error}"
    if unknown:
        return Distance(technique, None, None, None, None, by_degradation, (unknown, *reasons))
    curve = bag_curve(scores)
    needed = images_needed(scores, curve)
    if needed.reason:
        reasons.insert(0, f"images for 99%: {needed.reason}")
    return Distance(
        technique, total_variation(scores), jensen_shannon(scores), curve, needed, by_degradation, tuple(reasons)
    )


def distance_in_words(distance: Distance) -> str:
    """Return the bounds on the distance, the images that a 99% accurate decision needs, and the margins."""
    variation, bits, images = distance.total_variation, distance.jensen_shannon_bits, distance.images
    if variation is None or bits is None or images is None:
        return (
            f"The distance between real and fake is unknown: the judges of {distance.technique} left no usable scores."
        )
    words = (
        f"Real and fake differ by a total variation of at least {variation.low:.3f}, and by at least {bits.low:.3f} "
        f"bits per image ({distance.technique}, 95% confidence). "
    )
    right = "from one source make a decision right 99 times in 100"
    measured, chernoff = images.measured, images.chernoff
    if measured.n is not None:
        bound = f", {_count(chernoff)} by Chernoff's bound" if chernoff.n is not None else ""
        words += f"{_count(measured)} image{'' if measured.n == 1 else 's'} {right}{bound}."
    elif chernoff.n is not None:
        words += f"{_count(chernoff)} image{'' if chernoff.n == 1 else 's'} {right}, by Chernoff's bound."
    else:
        words += "The scores are too weak to estimate how many images per source a 99% accurate decision needs."
    levels = [
        f"{kind} {margin.level:.3g} ({LADDERS[kind].unit})"
        for kind, margin in distance.margins.items()
        if margin.level is not None
    ]
    return words + (f" AUC falls to 0.75 at {', '.join(levels)}." if levels else "")


def _count(count: ImageCount) -> str:
    """Such as "3 (2 to 5)", or "3 (3 or more)" where there is no upper bound."""
    high = "or more" if count.high is None else f"to {count.high:,}"
    return f"{count.n:,} ({count.low:,} {high})" if count.low is not None else f"{count.n:,}"
