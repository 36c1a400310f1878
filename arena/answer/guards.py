"""Whether the images stayed images and the test a test: the guards of the verdict (rules of evidence 4, 5 and 9)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from arena.answer.equivalence import TechniqueFinding
from arena.answer.finished import FinishedRun
from arena.config import AnswerConfig
from arena.records import QualityRecord


@dataclass(frozen=True)
class Guard:
    """A figure, the threshold declared for it, and whether it holds."""

    figure: float
    threshold: float
    holds: bool


@dataclass(frozen=True)
class Guards:
    """All guards are reported in every case; over several runs each is that of its worst run.

    Args:
        quality: kernel distance to reals, in units of what reals at half their resolution are away; at most the limit.
        variety: recall or coverage, whichever is the smaller share of what reals give each other; at least the limit.
        memorisation: share of fakes nearer to generator-train than to as many reference reals; broken where the lower
            bound of its 95% interval is above the limit.
        judges: share of the techniques whose judges are fit; all must be.
        provenance: differences between the files of reals and of fakes; none may be.
    """

    quality: Guard
    variety: Guard
    memorisation: Guard
    judges: Guard
    provenance: Guard


def guards(runs: Sequence[FinishedRun], found: Sequence[TechniqueFinding]) -> Guards:
    """The guards of one run, or of the runs of one condition."""
    limits = runs[0].declared.answer
    measured = [run.quality for run in runs]
    fit = sum(its.finding != "unfit" for its in found) / len(found)
    different = max(len(run.differences) for run in runs)
    return Guards(
        quality=max((_quality(record, limits) for record in measured), key=lambda guard: guard.figure),
        variety=min((_variety(record, limits) for record in measured), key=lambda guard: guard.figure),
        memorisation=max(
            (_memorisation(record, limits) for record in measured), key=lambda guard: (not guard.holds, guard.figure)
        ),
        judges=Guard(fit, 1.0, fit == 1.0),
        provenance=Guard(float(different), 0.0, different == 0),
    )


def _quality(record: QualityRecord, limits: AnswerConfig) -> Guard:
    figure = _share(record.kernel_distance, record.blurred_kernel_distance, if_none=math.inf)
    return Guard(figure, limits.quality_limit, figure <= limits.quality_limit)


def _variety(record: QualityRecord, limits: AnswerConfig) -> Guard:
    recall = _share(record.recall, record.real_recall, if_none=0.0)
    figure = min(recall, _share(record.coverage, record.real_coverage, if_none=0.0))
    return Guard(figure, limits.variety_limit, figure >= limits.variety_limit)


def _memorisation(record: QualityRecord, limits: AnswerConfig) -> Guard:
    return Guard(record.memorisation, limits.memorisation_limit, record.memorisation_low <= limits.memorisation_limit)


def _share(part: float, whole: float, if_none: float) -> float:
    """``part / whole``; where either says nothing, the value that breaks the guard."""
    figure = part / whole if whole > 0 else math.nan
    return figure if math.isfinite(figure) else if_none
