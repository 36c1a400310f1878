"""Bound the distance between real and fake images from held-out scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from arena.answer.limit.bags import BagCurve, ImageCount, ImagesNeeded, bag_curve, images_needed
from arena.answer.limit.divergence import (
    CalibratedScores,
    LowerBound,
    calibrated_scores,
    jensen_shannon,
    total_variation,
)
from arena.answer.limit.margins import Margin, margins
from arena.answer.runs import FinishedRun
from arena.config.schema import BAG
from arena.core.degradations import Degradation
from arena.records.store import read_scores


@dataclass(frozen=True)
class Distance:
    """What a technique's fresh judges of the last round say about the distance between the laws of real and fake.

    Args:
        technique: its name.
        total_variation: how far apart the probabilities of one event are at least, the event chosen to tell real from
            fake: a judge is possible that is right in (1 + TV) / 2 of cases, or more, at equal priors.
        jensen_shannon_bits: at least so many bits an image tells, on average, about its being real or fake.
        bags: share of right decisions and AUC by number of images judged together.
        images: how many images from one source make decisions right 99 times in 100.
        margins: degradation -> the level at which AUC falls to 3/4; empty where none was tried.
        reasons: what cannot be said, and why, in words.
    """

    technique: str
    total_variation: LowerBound | None
    jensen_shannon_bits: LowerBound | None
    bags: BagCurve | None
    images: ImagesNeeded | None
    margins: Mapping[Degradation, Margin]
    reasons: tuple[str, ...]


def distance(runs: Sequence[FinishedRun], technique: str) -> Distance:
    """Read the distance off the held-out scores of a technique.

    Every figure is of images after the evidence path, as every judge sees them, and none of them corrects for the
    choice of a technique: choose it on validation.

    Args:
        runs: one run, or the runs of one condition over its seeds: then divergences are of the mean over such runs.
        technique: its name.

    Raises:
        ArenaError: if a score file is missing, altered or cannot be scored.
    """
    withstood = margins(runs, technique)
    reasons = [f"{name}: {its.reason}" for name, its in withstood.items() if its.reason]
    if not withstood:
        reasons.append("margins: no degradation was tried")
    lacking = _lacking(runs, technique)
    if lacking:
        return Distance(technique, None, None, None, None, withstood, (lacking, *reasons))
    try:
        panels = [_panel(run, technique) for run in runs]
    except ValueError as error:
        return Distance(technique, None, None, None, None, withstood, (f"{technique}: {error}", *reasons))
    curve = bag_curve(panels)
    needed = images_needed(panels, curve)
    if needed.reason:
        reasons.insert(0, f"images for 99%: {needed.reason}")
    return Distance(
        technique, total_variation(panels), jensen_shannon(panels), curve, needed, withstood, tuple(reasons)
    )


def _lacking(runs: Sequence[FinishedRun], technique: str) -> str:
    if technique == BAG:
        return "bag: its scores are of many images together, not of one"
    if any(len(run.fresh(technique)) < run.declared.judge_seeds for run in runs):
        return f"{technique}: fewer than {runs[0].declared.judge_seeds} fresh judges on record"
    return ""


def _panel(run: FinishedRun, technique: str) -> CalibratedScores:
    return calibrated_scores(
        [read_scores(run.path, record.scores) for _, record in sorted(run.fresh(technique).items())]
    )


@dataclass(frozen=True)
class DistanceSummary:
    """What of a distance a verdict states; None where nothing can be said.

    Args:
        technique: whose fresh judges say it.
        total_variation: lower 95% bound.
        jensen_shannon_bits: lower 95% bound.
        images: from one source, for decisions right 99 times in 100, as measured on bags of held-out images, with a 95%
            interval.
        images_chernoff: as many suffice by Chernoff's bound, with a 95% interval.
        margins: degradation -> level at which AUC falls to 3/4, in the unit of ``arena.core.degradations``.
        reasons: what cannot be said, and why.
    """

    technique: str
    total_variation: float | None
    jensen_shannon_bits: float | None
    images: ImageCount | None
    images_chernoff: ImageCount | None
    margins: Mapping[Degradation, float | None]
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, found: Distance) -> Self:
        """The figures without their curves."""
        variation, bits, images = found.total_variation, found.jensen_shannon_bits, found.images
        return cls(
            found.technique,
            None if variation is None else variation.low,
            None if bits is None else bits.low,
            images and images.measured,
            images and images.chernoff,
            {kind: its.level for kind, its in found.margins.items()},
            found.reasons,
        )
