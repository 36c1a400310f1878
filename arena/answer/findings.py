"""Test each technique for equivalence to chance, and hold the guards of the images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from arena.answer.estimate import Estimate, estimate, in_words, needed
from arena.answer.humans import HUMAN, People
from arena.answer.runs import FinishedRun
from arena.config.schema import BAG, AnswerConfig
from arena.core.errors import ArenaError
from arena.metrics.auc import FOLD_DEPENDENCE, Influence, combine
from arena.records.schema import AccessLevel, QualityRecord, highest_access

Finding = Literal["passes", "caught", "undecided", "unfit"]


@dataclass(frozen=True)
class TechniqueFinding:
    """One technique's finding.

    Args:
        technique: its name.
        access: what the generator knew of it.
        estimate: AUC of its fresh judges on the last round's fakes; None where they left no full record.
        finding: passes, caught, undecided or unfit.
        reason: of "undecided" and "unfit", in words; of people also how many they were; otherwise empty.
        people: whether people judged, and no technique of the battery.
    """

    technique: str
    access: AccessLevel
    estimate: Estimate | None
    finding: Finding
    reason: str = ""
    people: bool = False


def findings(runs: Sequence[FinishedRun], people: People | None = None) -> list[TechniqueFinding]:
    """The finding of every technique the battery declares, in order of name; last of people, where some were asked.

    Args:
        runs: one run, or the runs of one condition over its seeds.
        people: what people said of the images of the quiz.

    Raises:
        ArenaError: if people were asked and the battery has a technique called human.
    """
    terms = runs[0].declared
    bound, alpha = 0.5 + terms.answer.margin, terms.answer.alpha
    estimates = {name: technique_estimate(runs, name) for name in terms.techniques}
    gains = {name: gain_from_data(runs, name) for name in terms.techniques}
    p_values = {name: 1.0 if found is None else found.p_above(bound) for name, found in estimates.items()}
    if people is not None:
        if HUMAN in p_values:
            raise ArenaError(f"battery.members.{HUMAN}: the answers of people need this name for themselves")
        p_values[HUMAN] = people.estimate.p_above(bound)
    caught = holm(p_values, alpha)
    gained = _clear(gains, alpha)
    behind = {name: lag_behind_the_loop(runs, name) for name in terms.techniques}
    behind = {name: behind[name] if clear else None for name, clear in _clear(behind, alpha).items()}
    found = []
    for name, its in estimates.items():
        access = highest_access(record.access for run in runs for record in run.fresh(name).values())
        reason = _unfit(runs, name, its)
        if its is None or reason:
            found.append(TechniqueFinding(name, access, its, "unfit", reason))
        elif caught[name]:
            found.append(TechniqueFinding(name, access, its, "caught"))
        else:
            reason = _open(its, gains[name], gained[name], behind[name], bound, alpha)
            found.append(TechniqueFinding(name, access, its, "undecided" if reason else "passes", reason))
    if people is not None:
        found.append(_of_people(people, caught[HUMAN], bound, alpha))
    return found


def fit_techniques(found: Sequence[TechniqueFinding]) -> list[str]:
    """The techniques of single images whose judges are fit: the strongest is one of these."""
    return [its.technique for its in found if its.finding != "unfit" and its.technique != BAG and not its.people]


def strongest(validation: Mapping[str, Sequence[float | None]]) -> tuple[str, float] | None:
    """Return the technique with the highest mean validation AUC, and that AUC. The first one wins a tie.

    The choice is made on validation images, so that it cannot flatter the technique's AUC on the test. A technique of
    which a validation AUC is missing is left out.

    Args:
        validation: technique -> validation AUC of each judge, or of each run.

    >>> strongest({"cnn": [0.75, 0.8], "dct": [0.99, None], "stack": [0.75, 1.0]})
    ('stack', 0.875)
    """
    means = {
        technique: float(np.mean([auc for auc in aucs if auc is not None]))
        for technique, aucs in validation.items()
        if aucs and None not in aucs
    }
    return max(means.items(), key=lambda item: item[1], default=None)


def technique_estimate(runs: Sequence[FinishedRun], technique: str) -> Estimate | None:
    """AUC of a technique's fresh judges at the last round; None if any run lacks one of the judges declared."""
    judges = [list(run.fresh(technique).values()) for run in runs]
    if any(len(records) < run.declared.judge_seeds for run, records in zip(runs, judges, strict=True)):
        return None
    return estimate([run.influences(found, bank) for bank, (run, found) in enumerate(zip(runs, judges, strict=True))])


def gain_from_data(runs: Sequence[FinishedRun], technique: str) -> Estimate | None:
    """AUC with all of a judge's data and images less AUC with half of them, paired by judge seed and by image.

    Returns:
        None where no run recorded both.
    """
    pairs: list[list[Influence]] = []
    for bank, run in enumerate(runs):
        whole, half = run.fresh(technique), run.halved(technique)
        seeds = sorted(whole.keys() & half.keys())
        if not seeds:
            return None
        with_all = run.influences([whole[seed] for seed in seeds], bank)
        with_half = run.influences([half[seed] for seed in seeds], bank)
        pairs.append([combine(pair, (1.0, -1.0)) for pair in zip(with_all, with_half, strict=True)])
    return estimate(pairs)


def lag_behind_the_loop(runs: Sequence[FinishedRun], technique: str) -> Estimate | None:
    """AUC of the detector in the loop, retrained on the same fakes, less that of fresh judges; paired by image.

    Both are tested on images that neither met. Where the former sees more, the latter are short of data or images.

    Returns:
        None where a run recorded no such pair.
    """
    pairs: list[list[Influence]] = []
    for bank, run in enumerate(runs):
        fresh, record = run.fresh(technique), run.in_loop(technique)
        if not fresh or record is None:
            return None
        (loop,) = run.influences([record], bank)
        pairs.append([_less(loop, judge) for judge in run.influences([*fresh.values()], bank)])
    return estimate(pairs)


def _less(loop: Influence, judge: Influence) -> Influence:
    """The detector in the loop less a judge: reals that test both cancel, what they taught the judge does not.

    The reals of a cross-fitted judge count ``FOLD_DEPENDENCE`` times in its variance, those of the loop's detector once.
    """
    tested = replace(judge, real=judge.real / np.sqrt(FOLD_DEPENDENCE))
    taught = float(judge.real @ judge.real) * (1 - 1 / FOLD_DEPENDENCE)
    difference = combine((loop, tested), (1.0, -1.0))
    return replace(difference, floor=difference.floor + taught)


def _clear(estimates: Mapping[str, Estimate | None], alpha: float) -> dict[str, bool]:
    """Which differences are above 0 beyond their error, jointly over the battery."""
    return holm({name: 1.0 if found is None else found.p_above(0.0) for name, found in estimates.items()}, alpha)


def holm(p_values: dict[str, float], alpha: float) -> dict[str, bool]:
    """Which hypotheses Holm's step-down procedure rejects with family-wise error alpha (Holm 1979)."""
    rejected = dict.fromkeys(p_values, False)
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        if p_values[name] > alpha / (len(p_values) - rank):
            break
        rejected[name] = True
    return rejected


def _of_people(people: People, caught: bool, bound: float, alpha: float) -> TechniqueFinding:
    """Caught or undecided, never passed: nobody checked that these people are fit to judge."""
    its = people.estimate
    persons = "1 person" if people.persons == 1 else f"{people.persons} people"
    reason = f"{persons} on {people.images} images"
    if not caught:
        if its.high(alpha) >= bound:
            numbers = in_words(needed(its, bound, alpha), its.runs, judges="people")
            reason += f", needs {numbers}"
        reason += "; never shown a planted artefact, so not known to be fit to judge: what people miss clears nothing"
    return TechniqueFinding(HUMAN, "none", its, "caught" if caught else "undecided", reason, people=True)


def _unfit(runs: Sequence[FinishedRun], technique: str, found: Estimate | None) -> str:
    """Rules of evidence 3 and 4: judges missing, blind to their own artefact, or clearly below chance; "" if fit."""
    terms = runs[0].declared
    margin, alpha = terms.answer.margin, terms.answer.alpha
    if found is None:
        return f"unfit, fewer than {terms.judge_seeds} fresh judges on record at round {terms.last_round}"
    for run in runs:
        planted = run.planted(technique)
        if not planted:
            return "unfit, never shown to catch a planted artefact"
        for artefact in sorted({record.artefact or "" for record in planted}):
            test = estimate([run.influences([record for record in planted if record.artefact == artefact])])
            if test.low(alpha) <= 0.5 + margin:
                return f"unfit, did not catch the planted {artefact} (AUC {test.value:.3f})"
    if found.p_below(0.5 - margin) < alpha:
        return f"unfit, fresh judges at AUC {found.value:.3f}, below 1/2 - {margin:g} (a shifted bank or a bug)"
    return ""


def _open(
    found: Estimate, gain: Estimate | None, gained: bool, behind: Estimate | None, bound: float, alpha: float
) -> str:
    """What keeps a technique from passing, and the number that would decide; "" if it passes."""
    if found.high(alpha) >= bound:
        return f"AUC {found.value:.3f}, needs {in_words(needed(found, bound, alpha), found.runs)}"
    if gain is None:
        return "judges never compared with judges of half their data, which must be on record to clear anything"
    if gained:
        return "judges still gain from twice the data, needs 2 times their data and images or more"
    if behind is not None:
        return (
            f"fresh judges are {behind.value:.3f} in AUC behind the detector in the loop, needs 2 times their data and "
            "images or more"
        )
    return ""


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
