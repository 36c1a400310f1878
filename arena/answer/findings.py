"""Test each technique for equivalence to chance, and name the strongest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from arena.answer.estimate import Estimate, estimate, in_words, needed
from arena.answer.humans import HUMAN, People
from arena.answer.runs import FinishedRun
from arena.config.schema import BAG
from arena.core.errors import ArenaError
from arena.metrics.auc import FOLD_DEPENDENCE, Influence, combine
from arena.records.schema import AccessLevel, FitnessRecord, ScoreRecord, highest_access

STRONGEST = "strongest"
"""Name of the technique with the highest validation AUC, whichever it is."""

Finding = Literal["passes", "caught", "undecided", "unfit"]
JudgesOfRun = tuple[FinishedRun, Mapping[int, ScoreRecord] | Mapping[int, FitnessRecord], int]


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
    """

    technique: str
    access: AccessLevel
    estimate: Estimate | None
    finding: Finding
    reason: str = ""
    people: bool = False


def findings(runs: Sequence[FinishedRun], people: People | None = None) -> list[TechniqueFinding]:
    """Return the finding of every declared technique in order of name, and last that of people.

    Args:
        runs: one run, or the runs of one condition over its seeds.
        people: answers to the quiz. The battery may then have no technique called human.
    """
    terms = runs[0].declared
    bound, alpha = 0.5 + terms.answer.margin, terms.answer.alpha
    estimates = {name: technique_estimate(runs, name) for name in terms.techniques}
    gains = {name: gain_from_data(runs, name) for name in terms.techniques}
    lags = {name: lag_behind_the_loop(runs, name) for name in terms.techniques}
    p_values = {name: 1.0 if auc is None else auc.p_above(bound) for name, auc in estimates.items()}
    if people is not None:
        if HUMAN in p_values:
            raise ArenaError(f"battery.members.{HUMAN}: `{HUMAN}` is reserved for answers to the quiz")
        p_values[HUMAN] = people.estimate.p_above(bound)
    caught, gained, lagging = holm(p_values, alpha), _above_zero(gains, alpha), _above_zero(lags, alpha)
    listed = []
    for name, auc in estimates.items():
        access = highest_access(record.access for run in runs for record in run.fresh(name).values())
        reason = _unfit(runs, name, auc)
        if auc is None or reason:
            listed.append(TechniqueFinding(name, access, auc, "unfit", reason))
        elif caught[name]:
            listed.append(TechniqueFinding(name, access, auc, "caught"))
        else:
            lag = lags[name] if lagging[name] else None
            reason = _undecided(auc, gains[name], gained[name], lag, bound, alpha)
            listed.append(TechniqueFinding(name, access, auc, "undecided" if reason else "passes", reason))
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

    None where a run has no judge with both.
    """
    pairs = []
    for bank, run in enumerate(runs):
        half = {
            record.judge_seed: record
            for record in _fitness(run, technique)
            if record.artefact is None and record.round == run.declared.last_round and record.share == 0.5
        }
        pairs.append(differences_by_seed((run, run.fresh(technique), bank), (run, half, bank)))
    return estimate(pairs) if all(pairs) else None


def differences_by_seed(ours: JudgesOfRun, theirs: JudgesOfRun) -> list[Influence]:
    """Return the AUCs of judges less those of others, paired by seed and by image. Seeds of one side alone have none.

    Each side is a run, the record of each judge by its seed, and the number of the run's bank of fakes.
    """
    seeds = sorted(ours[1].keys() & theirs[1].keys())
    here, there = (run.influences([judges[seed] for seed in seeds], bank) for run, judges, bank in (ours, theirs))
    return [combine(pair, (1.0, -1.0)) for pair in zip(here, there, strict=True)]


def lag_behind_the_loop(runs: Sequence[FinishedRun], technique: str) -> Estimate | None:
    """Return the AUC of the detector in the loop, retrained on the same fakes, less that of fresh judges.

    They are paired by image, and neither was trained on the images that test it. A detector in the loop that is better
    shows that the judges are short of data or images. None where a run recorded no such pair.
    """
    pairs: list[list[Influence]] = []
    for bank, run in enumerate(runs):
        last = run.declared.last_round
        wanted = (technique, "retrained", last, last)
        loops = [
            record
            for record in run.of_kind(ScoreRecord)
            if (record.technique, record.regime, record.generator_round, record.detector_round) == wanted
        ]
        judges = list(run.fresh(technique).values())
        if not judges or not loops:
            return None
        loop, *fresh = run.influences([loops[0], *judges], bank)
        pairs.append([_less(loop, judge) for judge in fresh])
    return estimate(pairs)


def _less(loop: Influence, judge: Influence) -> Influence:
    """The detector in the loop less a judge. Reals that test both cancel, the reals that trained the judge do not.

    The reals of a cross-fitted judge count ``FOLD_DEPENDENCE`` times in its variance, those of the loop's detector
    once.
    """
    tested = replace(judge, real=judge.real / np.sqrt(FOLD_DEPENDENCE))
    taught = float(judge.real @ judge.real) * (1 - 1 / FOLD_DEPENDENCE)
    difference = combine((loop, tested), (1.0, -1.0))
    return replace(difference, floor=difference.floor + taught)


def _above_zero(differences: Mapping[str, Estimate | None], alpha: float) -> dict[str, bool]:
    """Whether each difference exceeds 0 by more than its error, jointly over the battery."""
    return holm({name: 1.0 if each is None else each.p_above(0.0) for name, each in differences.items()}, alpha)


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


def _undecided(
    auc: Estimate, gain: Estimate | None, gained: bool, lag: Estimate | None, bound: float, alpha: float
) -> str:
    """Why a technique that did not catch does not pass either, with the number that would decide. "" if it passes."""
    if auc.high(alpha) >= bound:
        return f"AUC {auc.value:.3f}, needs {in_words(needed(auc, bound, alpha), auc.runs)}"
    if gain is None:
        return "no judges with half of the data on record, without which nothing passes"
    if gained:
        return "judges still gain from twice the data, needs 2 times their data and images or more"
    if lag is not None:
        return (
            f"fresh judges are {lag.value:.3f} in AUC behind the detector in the loop, needs 2 times their data and "
            "images or more"
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
