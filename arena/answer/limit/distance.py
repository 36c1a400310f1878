"""Bound the distance between real and fake images from the held-out scores of a technique."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from arena.answer.limit.bags import BagCurve, ImageCount, ImagesNeeded, bag_curve, images_needed
from arena.answer.limit.divergence import LowerBound, calibrated_scores, jensen_shannon, total_variation
from arena.answer.limit.margins import Margin, margins
from arena.answer.runs import FinishedRun
from arena.config.schema import BAG
from arena.core.degradations import Degradation
from arena.records.store import read_scores


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


def distance(runs: Sequence[FinishedRun], technique: str) -> Distance:
    """Return the distance that a technique's held-out scores show.

    Every figure is of images after the evidence path, as judges see them. No figure corrects for the choice of the
    technique, so it must be chosen on validation.

    Args:
        runs: one run, or the runs of one condition over its seeds. Divergences are then of the mean over such runs.
        technique: its name.

    Raises:
        ArenaError: if a score file is missing, altered or cannot be scored.
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
            scores = [
                calibrated_scores(
                    [read_scores(run.path, record.scores) for _, record in sorted(run.fresh(technique).items())]
                )
                for run in runs
            ]
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


@dataclass(frozen=True)
class DistanceSummary:
    """The figures of a distance that a verdict states, None where unknown.

    Args:
        technique: whose fresh judges they are from.
        total_variation: lower 95% bound.
        jensen_shannon_bits: lower 95% bound.
        images: images from one source that make a decision right 99 times in 100, measured on bags of held-out images.
        images_chernoff: number that suffices by Chernoff's bound.
        margins: degradation -> level at which AUC falls to 3/4, in the unit of ``arena.core.degradations``.
        reasons: why a figure is missing, in words.
    """

    technique: str
    total_variation: float | None
    jensen_shannon_bits: float | None
    images: ImageCount | None
    images_chernoff: ImageCount | None
    margins: Mapping[Degradation, float | None]
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, distance: Distance) -> Self:
        """Return the figures of a distance without its curves."""
        variation, bits, images = distance.total_variation, distance.jensen_shannon_bits, distance.images
        return cls(
            distance.technique,
            None if variation is None else variation.low,
            None if bits is None else bits.low,
            images and images.measured,
            images and images.chernoff,
            {degradation: margin.level for degradation, margin in distance.margins.items()},
            distance.reasons,
        )
