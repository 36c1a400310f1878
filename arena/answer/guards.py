"""The guards of a verdict: whether the images stayed images, of every class, and new, and were stored alike."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy.stats import norm

from arena.answer.findings import TechniqueFinding
from arena.answer.runs import FinishedRun
from arena.config.schema import AnswerConfig
from arena.metrics.interval import ratio_upper_bound
from arena.records.schema import ProvenanceRecord, QualityRecord

EXACT = 0.001
"""p below which exact copies count as memorised."""


@dataclass(frozen=True)
class Guard:
    """A figure of the images, and the threshold declared for it.

    A guard that neither holds nor is broken wants more images.

    Args:
        figure: compared with the threshold. Infinite where it is unknown.
        threshold: the limit.
        holds: whether the figure is shown to be on the right side. Nothing passes without it.
        broken: whether it is shown to be on the wrong side. The verdict is then invalid.
        unit: the measured quantity, in words.
        reason: why it does not hold, in words; empty if it holds.
    """

    figure: float
    threshold: float
    holds: bool
    broken: bool
    unit: str
    reason: str


@dataclass(frozen=True)
class Guards:
    """The guards, all of them reported in every case. Over several runs each is that of its worst run.

    Args:
        quality: upper bound of the kernel distance to reals, in units of that of reals with a small degradation, which
            ``unit`` names. At most the limit.
        variety: recall or coverage, whichever is the smaller share of the same figure of reals. At least the limit.
        classes: upper bound of the total variation between the classes that a classifier names among fakes and among
            reals. At most the limit, with no class missing. None where the data has no attribute that can be read.
        memorisation: share of near copies of training images. Broken where it is clearly above the limit, where
            training images recur exactly, or where fakes are nearer to the training set on average than to other reals.
        judges: share of the techniques whose judges are fit. Must be 1.
        provenance: differences between the files of reals and of fakes. Must be 0.
    """

    quality: Guard
    variety: Guard
    classes: Guard | None
    memorisation: Guard
    judges: Guard
    provenance: Guard

    @property
    def of_images(self) -> list[Guard]:
        """Return the guards of the images and of their files. Judges that are unfit have findings of their own."""
        listed = (self.memorisation, self.quality, self.variety, self.classes, self.provenance)
        return [guard for guard in listed if guard is not None]


def guards(runs: Sequence[FinishedRun], findings: Sequence[TechniqueFinding]) -> Guards:
    """Return the guards. People do not count among the judges that must be fit."""
    limits = runs[0].declared.answer

    def worst(measure: Callable[[QualityRecord, AnswerConfig], Guard], least: bool = False) -> Guard:
        def rank(guard: Guard) -> tuple[bool, bool, float]:
            return guard.broken, not guard.holds, -guard.figure if least else guard.figure

        return max((measure(run.quality, limits) for run in runs), key=rank)

    return Guards(
        quality=worst(quality_guard),
        variety=worst(variety_guard, least=True),
        classes=worst(classes_guard) if any(run.quality.class_attribute for run in runs) else None,
        memorisation=worst(memorisation_guard),
        judges=_judges_guard([each for each in findings if not each.people]),
        provenance=_provenance_guard(runs),
    )


def quality_guard(record: QualityRecord, limits: AnswerConfig) -> Guard:
    """Return the guard of quality: an equivalence test at ``alpha``, in units of a named degradation.

    It holds if the upper bound of the ratio of both kernel distances is below the limit, and is broken if the distance
    is above that multiple of the unit.
    """
    z, limit = float(norm.isf(limits.alpha)), limits.quality_limit
    distance, error = record.kernel_distance, record.kernel_distance_error
    unit, unit_error = record.unit_kernel_distance, record.unit_kernel_distance_error
    figure = ratio_upper_bound(distance, error, unit, unit_error, z)
    broken = not distance - limit * unit <= z * math.hypot(error, limit * unit_error)
    state = "the images lost quality" if broken else "the quality of the images is not shown"
    times = f"{figure:.2f} times" if math.isfinite(figure) else "any multiple of"
    reason = f"{state}: their kernel distance may be {times} that of reals with {record.unit} (limit {limit:g})"
    words = f"kernel distance to reals, upper {1 - limits.alpha:.0%} bound, divided by that of reals with {record.unit}"
    holds = figure < limit
    return Guard(figure, limit, holds, broken, words, "" if holds else reason)


def variety_guard(record: QualityRecord, limits: AnswerConfig) -> Guard:
    """Return the guard of variety."""
    recall, coverage = _share(record.recall, record.real_recall), _share(record.coverage, record.real_coverage)
    figure, limit = min(recall, coverage), limits.variety_limit
    holds = figure >= limit
    reason = "" if holds else f"the images lost variety: {figure:.0%} of that of real images (limit {limit:.0%})"
    return Guard(figure, limit, holds, not holds, "recall or coverage, divided by that of held-out reals", reason)


def _share(part: float, whole: float) -> float:
    """``part / whole``, or 0 where that is no finite number: the value that breaks the guard."""
    share = part / whole if whole > 0 else math.nan
    return share if math.isfinite(share) else 0.0


def classes_guard(record: QualityRecord, limits: AnswerConfig) -> Guard:
    """Return the guard of classes. It is not shown to hold where no classes were read from the images."""
    if record.class_distance_low is None or record.class_distance_high is None or record.unrecognised is None:
        unread = "the classes of the images were not read"
        return Guard(math.inf, limits.classes_limit, False, False, "total variation of the classes", unread)
    figure, limit, missing = record.class_distance_high, limits.classes_limit, record.missing_classes
    different = record.class_distance_low > limit
    holds, broken = figure < limit and not missing, different or bool(missing)
    words = f"the classes of {record.class_attribute} differ from those of real images by up to {figure:.0%}"
    words += f" in total variation (limit {limit:.0%}), and {record.unrecognised:.0%} of the images are not recognised"
    words += " (5% of real ones)"
    reasons = [f"the images lack {', '.join(missing)}"] if missing else []
    if different or not (holds or missing):
        reasons.append(words if broken else f"the classes of the images are not shown to be complete: {words}")
    unit = f"total variation of the classes of {record.class_attribute}, with unrecognised images, upper 95% bound"
    return Guard(figure, limit, holds, broken, unit, "; ".join(reasons))


def memorisation_guard(record: QualityRecord, limits: AnswerConfig) -> Guard:
    """Return the guard of memorisation. It is broken or holds: copies are refused where they are shown."""
    figure, limit, closer = record.near_copies, limits.copies_limit, limits.memorisation_limit
    reasons = []
    if record.near_copies_low > max(limit, record.near_copies_chance):
        reasons.append(f"{figure:.0%} of its fakes are near copies of a training image (limit {limit:.0%})")
    if record.exact_copies_p < EXACT:
        reasons.append(f"{record.exact_copies:.1%} of its fakes equal a training image")
    if record.memorisation_low > closer:
        reasons.append(
            f"{record.memorisation:.0%} of its fakes lie nearer to its training images than to as many other real "
            f"images (chance 50%, limit {closer:.0%})"
        )
    words = f"the generator memorised: {', '.join(reasons)}" if reasons else ""
    unit = "share of fakes nearer to one training image than 99.9% of held-out reals are"
    unit += f" (from the average closeness to the training set, at most {record.copied_at_most:.0%} are copies)"
    return Guard(figure, limit, not reasons, bool(reasons), unit, words)


def _judges_guard(findings: Sequence[TechniqueFinding]) -> Guard:
    fit = sum(each.finding != "unfit" for each in findings) / len(findings)
    holds = fit == 1.0
    return Guard(
        fit, 1.0, holds, not holds, "share of the techniques whose judges are fit", "" if holds else "judges are unfit"
    )


def _provenance_guard(runs: Sequence[FinishedRun]) -> Guard:
    different = max(sum(len(record.differences) for record in run.of_kind(ProvenanceRecord)) for run in runs)
    properties = "1 property" if different == 1 else f"{different} properties"
    reason = f"the files of real and fake images differ in {properties}" if different else ""
    unit = "differences between the files of reals and of fakes"
    return Guard(float(different), 0.0, not different, bool(different), unit, reason)
