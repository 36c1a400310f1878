"""Test each technique for equivalence to chance, and name the strongest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from arena.answer.estimate import Estimate, estimate, in_words, needed
from arena.answer.humans import HUMAN, People
from arena.answer.runs import FinishedRun
from arena.config.schema import BAG
from arena.core.errors import ArenaError
from arena.metrics.auc import Influence, combine
from arena.records.schema import HALF, AccessLevel, FitnessRecord, Record, ScoreRecord, highest_access

STRONGEST = "strongest"
"""Name of the technique with the highest validation AUC, whichever it is."""

Finding = Literal["passes", "caught", "undecided", "unfit"]
JudgesOfRun = tuple[FinishedRun, Mapping[int, ScoreRecord], int]


@dataclass(frozen=True)
class TechniqueFinding:
    """One technique's finding.

    Args:
        technique: its name.
        access: the generator's access to it.
        estimate: AUC of its fresh judges on the last round's fakes. None where one of them left no record.
        finding: the finding.
        reason: why it is undecided or unfit, in words. For people it also says how many they were. Otherwise empty.
        people: whether people judged rather than a technique of the battery.
        gain: AUC of its judges less that of judges with half of their data and images. None without such judges.
        saturated: whether the upper bound of the gain is below half the margin. None where the gain is.
    """

    technique: str
    access: AccessLevel
    estimate: Estimate | None
    finding: Finding
    reason: str = ""
    people: bool = False
    gain: Estimate | None = None
    saturated: bool | None = None


def findings(runs: Sequence[FinishedRun], people: People | None = None) -> list[TechniqueFinding]:
    """Return the finding of every declared technique in order of name, and last that of people.

    Args:
        runs: one run, or the runs of one condition over its seeds.
        people: answers to the quiz. The battery may then have no technique called human.
    """
    terms = runs[0].declared
    margin, alpha = terms.answer.margin, terms.answer.alpha
    bound = 0.5 + margin
    estimates = {name: technique_estimate(runs, name) for name in terms.techniques}
    p_values = {name: 1.0 if auc is None else auc.p_above(bound) for name, auc in estimates.items()}
    if people is not None:
        if HUMAN in p_values:
            raise ArenaError(f"battery.members.{HUMAN}: `{HUMAN}` is reserved for answers to the quiz")
        p_values[HUMAN] = people.estimate.p_above(bound)
    caught = holm(p_values, alpha)
    listed = []
    for name, auc in estimates.items():
        access = highest_access(record.access for run in runs for record in run.fresh(name).values())
        gain = gain_from_data(runs, name)
        saturated = None if gain is None else is_saturated(gain, margin, alpha)
        reason, finding = _unfit(runs, name, auc), "unfit"
        if auc is not None and not reason:
            reason = "" if caught[name] else _undecided(auc, gain, loop_estimate(runs, name), margin, alpha)
            finding = "caught" if caught[name] else "undecided" if reason else "passes"
        listed.append(TechniqueFinding(name, access, auc, finding, reason, gain=gain, saturated=saturated))
    if people is not None:
        listed.append(_of_people(people, caught[HUMAN], bound, alpha))
    return listed


def fit_techniques(findings: Sequence[TechniqueFinding]) -> list[str]:
    """Return the techniques of single images whose judges are fit, of which one is the strongest."""
    return [
        each.technique for each in findings if each.finding != "unfit" and each.technique != BAG and not each.people
    ]


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


def strongest_on_validation(
    runs: Sequence[FinishedRun], findings: Sequence[TechniqueFinding]
) -> tuple[str, float] | None:
    """Return the strongest of the fit techniques over some runs, and its validation AUC."""
    return strongest({name: [run.validation_auc(name) for run in runs] for name in fit_techniques(findings)})


def technique_estimate(runs: Sequence[FinishedRun], technique: str) -> Estimate | None:
    """Return the AUC of a technique's fresh judges at the last round, or None if a run lacks a declared judge."""
    judges = [list(run.fresh(technique).values()) for run in runs]
    if any(len(records) < run.declared.judge_seeds for run, records in zip(runs, judges, strict=True)):
        return None
    pairs = zip(runs, judges, strict=True)
    return estimate([run.influences(records, bank) for bank, (run, records) in enumerate(pairs)])


def gain_from_data(runs: Sequence[FinishedRun], technique: str) -> Estimate | None:
    """Return the AUC of judges with all of their data and images less that with half of them.

    Of the last round's judges, these are the judges of the largest budget. None where a run has no judge with both.
    """
    gains = []
    for bank, run in enumerate(runs):
        budget = max(run.fresh_by_budget(technique), default=0)
        pairs = whole_and_half(run.records, run.declared.last_round, budget).get(technique, [])
        gains.append([combine(run.influences(pair, bank), (1.0, -1.0)) for pair in pairs])
    return estimate(gains) if all(gains) else None


def whole_and_half(
    records: Sequence[Record], round_index: int, judge_images: int
) -> dict[str, list[tuple[ScoreRecord, FitnessRecord]]]:
    """Return technique -> the tests of each fresh judge with all and with half of its data, in order of judge seed.

    Args:
        records: of a run.
        round_index: of the fakes.
        judge_images: budget of the judges with all of their data.
    """
    whole = {
        (record.technique, record.judge_seed): record
        for record in records
        if isinstance(record, ScoreRecord)
        and (record.regime, record.round, record.judge_images) == ("fresh", round_index, judge_images)
    }
    half = {
        (record.technique, record.judge_seed): record
        for record in records
        if isinstance(record, FitnessRecord)
        and (record.artefact, record.share) == (None, HALF)
        and (record.round, record.judge_images) == (round_index, judge_images)
    }
    pairs: dict[str, list[tuple[ScoreRecord, FitnessRecord]]] = {}
    for judge in sorted(half.keys() & whole.keys()):
        technique, _ = judge
        pairs.setdefault(technique, []).append((whole[judge], half[judge]))
    return pairs


def is_saturated(gain: Estimate, margin: float, alpha: float) -> bool:
    """Return whether the gain from twice the data is shown to be below half of the margin, at one-sided ``alpha``."""
    return gain.high(alpha) < margin / 2


def judges_to_show(gain: Estimate, margin: float, alpha: float) -> int | None:
    """Return the number of judges with which their spread would not hide that the gain is below half of the margin.

    The power is 80%. None where the estimated gain is not below it, or where no number of judges is enough. Where the
    images add too much error as well, that many judges are not enough without more images.
    """
    return needed(gain, margin / 2, alpha).repeats if gain.value < margin / 2 else None


def differences_by_seed(ours: JudgesOfRun, theirs: JudgesOfRun) -> list[Influence]:
    """Return the AUCs of judges less those of others, paired by seed and by image. Seeds of one side alone have none.

    Each side is a run, the record of each judge by its seed, and the number of the run's bank of fakes.
    """
    seeds = sorted(ours[1].keys() & theirs[1].keys())
    here, there = (run.influences([judges[seed] for seed in seeds], bank) for run, judges, bank in (ours, theirs))
    return [combine(pair, (1.0, -1.0)) for pair in zip(here, there, strict=True)]


def loop_estimate(runs: Sequence[FinishedRun], technique: str) -> Estimate | None:
    """Return the AUC of the detector in the loop, retrained on the last round's fakes.

    It was trained on none of the images that test it. If it catches, it catches what the fresh judges missed. None
    where a run recorded no such detector.
    """
    loops: list[list[Influence]] = []
    for bank, run in enumerate(runs):
        last = run.declared.last_round
        wanted = (technique, "retrained", last, last)
        records = [
            record
            for record in run.of_kind(ScoreRecord)
            if (record.technique, record.regime, record.generator_round, record.detector_round) == wanted
        ]
        if not records:
            return None
        loops.append(run.influences(records[:1], bank))
    return estimate(loops)


def holm(p_values: Mapping[str, float], alpha: float) -> dict[str, bool]:
    """Return which hypotheses Holm's step-down procedure rejects at family-wise error ``alpha`` (Holm 1979).

    >>> holm({"cnn": 0.01, "dct": 0.04, "forest": 0.03}, alpha=0.05)
    {'cnn': True, 'dct': False, 'forest': False}
    """
    rejected = dict.fromkeys(p_values, False)
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        if p_values[name] > alpha / (len(p_values) - rank):
            break
        rejected[name] = True
    return rejected


def findings_of_estimates(estimates: Mapping[str, Estimate], margin: float, alpha: float) -> dict[str, Finding]:
    """Return for each AUC whether it is shown to be above 1/2 + ``margin`` (caught), below it (passes), or neither.

    Caught is corrected over all by Holm. Passes needs no correction.
    """
    bound = 0.5 + margin
    caught = holm({name: auc.p_above(bound) for name, auc in estimates.items()}, alpha)
    return {
        name: "caught" if caught[name] else "passes" if auc.high(alpha) < bound else "undecided"
        for name, auc in estimates.items()
    }


def _unfit(runs: Sequence[FinishedRun], technique: str, auc: Estimate | None) -> str:
    """Why the judges of a technique are unfit, "" if they are fit (rules of evidence 3 and 4).

    They are unfit if one is missing, if they miss their planted artefact, or if they are clearly below chance.
    """
    terms = runs[0].declared
    margin, alpha = terms.answer.margin, terms.answer.alpha
    if auc is None:
        return f"unfit, fewer than {terms.judge_seeds} fresh judges on record at round {terms.last_round}"
    for run in runs:
        planted = [record for record in _fitness(run, technique) if record.artefact and record.share == 1.0]
        if not planted:
            return "unfit, not tested on a planted artefact"
        for artefact in sorted({record.artefact or "" for record in planted}):
            test = estimate([run.influences([record for record in planted if record.artefact == artefact])])
            if test.low(alpha) <= 0.5 + margin:
                return f"unfit, did not catch the planted {artefact} (AUC {test.value:.3f})"
    if auc.p_below(0.5 - margin) < alpha:
        return f"unfit, fresh judges at AUC {auc.value:.3f}, below 1/2 - {margin:g} (a shifted bank or a bug)"
    return ""


def _fitness(run: FinishedRun, technique: str) -> list[FitnessRecord]:
    return [record for record in run.of_kind(FitnessRecord) if record.technique == technique]


def _undecided(auc: Estimate, gain: Estimate | None, loop: Estimate | None, margin: float, alpha: float) -> str:
    """Why a technique that did not catch does not pass either. "" if it passes.

    Each requirement is an upper bound at ``alpha``, and no technique is corrected for the others: all requirements of
    all techniques must hold for the generator to pass (Berger 1982).
    """
    bound = 0.5 + margin
    if auc.high(alpha) >= bound:
        return f"AUC {auc.value:.3f}, needs {in_words(needed(auc, bound, alpha), auc.runs)}"
    if gain is None:
        return "no judges with half of the data on record, without which nothing passes"
    if not is_saturated(gain, margin, alpha):
        return (
            f"not saturated, judges gain at most {gain.high(alpha):+.3f} in AUC from twice the data, where "
            f"{margin / 2:g} would do"
        )
    if loop is not None and loop.high(alpha) >= bound:
        return (
            f"the detector in the loop, retrained on these fakes, is at AUC {loop.value:.3f}, at most "
            f"{loop.high(alpha):.3f}, where below {bound:g} would do"
        )
    return ""


def _of_people(people: People, caught: bool, bound: float, alpha: float) -> TechniqueFinding:
    """Caught or undecided, and never passed: no planted artefact has shown that these people are fit to judge."""
    auc = people.estimate
    reason = f"{'1 person' if people.persons == 1 else f'{people.persons} people'} on {people.images} images"
    if not caught:
        if auc.high(alpha) >= bound:
            reason += f", needs {in_words(needed(auc, bound, alpha), auc.runs, judges='people')}"
        reason += ". They were not tested on a planted artefact, so a miss of theirs clears nothing"
    return TechniqueFinding(HUMAN, "none", auc, "caught" if caught else "undecided", reason, people=True)
