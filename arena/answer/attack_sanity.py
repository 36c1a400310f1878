"""Check that attacks were as strong as their knowledge allows: an attack that fails by a fault says nothing of limits.

Signs of masked gradients are those of Athalye, Carlini & Wagner (2018) and Carlini et al. (2019): gradients that are
zero, attacks that more steps do not improve, and attacks with less knowledge that succeed more.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import get_args

import numpy as np

from arena.answer.conditions import Condition, Contrast, compared_techniques, contrasts, matched
from arena.answer.runs import FinishedRun
from arena.config.schema import STACK
from arena.records.schema import (
    AccessLevel,
    GradientRecord,
    PhaseRecord,
    ResamplingRecord,
    ScoreRecord,
    TrainingRecord,
    highest_access,
)

MOST = 0.01
"""Share of useless gradients above which a technique is named in a warning."""
LEAST_EXCESS = 3.0
"""Excess of matched features from which it has to fall. Below, it is as between reals but for chance."""
EXCESS = "_excess"
"""End of the name of a matched technique's excess among the figures of opponents."""
WARNING = "Warning: "
LEVELS = get_args(AccessLevel)


def attack_in_words(
    condition: Condition, control: Sequence[FinishedRun] = (), among: Sequence[Condition] = ()
) -> list[str]:
    """Return the checks of the attacks of a condition, one line each, and a warning for each that failed.

    Args:
        condition: without an attacked technique there is no line on its detectors.
        control: runs of ``access=none``, in which no detector was attacked.
        among: conditions to compare it with, of which some may know less.
    """
    return [
        *gradients_in_words(condition.runs),
        *features_in_words(condition.runs),
        *frozen_in_words(condition.runs, control),
        *resampling_in_words(condition.runs),
        *knowledge_in_words(condition, among),
    ]


def gradients_in_words(runs: Sequence[FinishedRun]) -> list[str]:
    """Return the shares of fakes at which an attacked technique gave no gradient, over all responses.

    Of a technique that answers queries, the gradient is that of its student.
    """
    looked: dict[str, list[GradientRecord]] = {}
    attacked = _attacked(runs)
    for record in (record for run in runs for record in run.of_kind(GradientRecord)):
        if record.technique in attacked:
            looked.setdefault(record.technique, []).append(record)
    shares = {name: _shares(records) for name, records in sorted(looked.items())}
    if not shares:
        return []
    zeros = ", ".join(f"{name} {zero:.1%}" for name, (zero, _) in shares.items())
    students = ", or of their students," if {"scores", "labels"} & {_access(runs, name) for name in shares} else ","
    lines = [f"Zero gradients of the attacked detectors{students} as a share of the fakes looked at: {zeros}."]
    without = {name: zero + broken for name, (zero, broken) in shares.items() if zero + broken > MOST}
    if without:
        named = ", ".join(f"{name} {share:.1%}" for name, share in without.items())
        lines.append(
            f"{WARNING}gradients are zero or not finite at more than {MOST:.0%} of the fakes ({named}). An attack on "
            "these techniques is weaker than its access."
        )
    return lines


def features_in_words(runs: Sequence[FinishedRun]) -> list[str]:
    """Return how far the steps of a response brought matched features to those of reals, the mean of all responses.

    The excess is the discrepancy (MMD) from reals above that between reals, in deviations of the latter. The first and
    the last look of each response are compared, since the next one has other detectors and so other features.
    """
    ends = [(looks[0], looks[-1]) for run in runs for looks in excess_by_response(run) if len(looks) > 1]
    attacked = _attacked(runs)
    names = [name for name in attacked if ends and all(name in look for looks in ends for look in looks)]
    if not names:
        return []
    falls = {name: (fmean(first[name] for first, _ in ends), fmean(last[name] for _, last in ends)) for name in names}
    told = ", ".join(f"{name} from {before:.1f} to {after:.1f}" for name, (before, after) in falls.items())
    lines = [
        "Discrepancy of matched features above that of reals, in deviations of it, over a response (first and last "
        f"look): {told}."
    ]
    stayed = [name for name, (before, after) in falls.items() if after >= max(before, LEAST_EXCESS)]
    if stayed:
        lines.append(
            f"{WARNING}more steps did not bring matched features nearer to those of reals ({', '.join(stayed)}). The "
            "attack on these techniques may be weaker than its access."
        )
    return lines


def excess_by_response(run: FinishedRun) -> list[list[dict[str, float]]]:
    """Return the excess of each matched technique at the looks of each response, in order.

    A branch has the training of its origin on record with its warm-up, which is no response of its own.
    """
    phases = [(k, record.phase) for k, record in enumerate(run.records) if isinstance(record, PhaseRecord)]
    warmed_up = [k for k, phase in phases if phase == "warm_up"]
    responses = defaultdict[int, list[dict[str, float]]](list)
    for record in run.records[max(warmed_up, default=-1) + 1 :]:
        if isinstance(record, TrainingRecord) and record.purpose == "respond" and record.fault is None:
            figures = record.opponents.items()
            excess = {name.removesuffix(EXCESS): value for name, value in figures if name.endswith(EXCESS)}
            responses[record.round].append(excess)
    return list(responses.values())


def frozen_in_words(runs: Sequence[FinishedRun], control: Sequence[FinishedRun] = ()) -> list[str]:
    """Return how far the last response brought down the AUC of the detectors that it was given.

    These are the detectors of the round before the last. A response that does not bring a detector down was no attack
    on it, unless that detector was at chance already. Without attack their AUC may fall too: that is the control's.
    """
    falls = {name: fall for name in _attacked(runs) if (fall := frozen_fall(runs, name))}
    if not falls:
        return []
    unattacked = {name: fall[1] for name in falls if (fall := frozen_fall(control, name))}

    def told(name: str) -> str:
        before, after = falls[name]
        beside = f" (access=none: {unattacked[name]:.3f})" if name in unattacked else ""
        return f"{name} from {before:.3f} to {after:.3f}{beside}"

    lines = [f"AUC of the attacked detectors, frozen, over the last response: {', '.join(map(told, falls))}."]
    if any(run.declared.last_round in run.resampled for run in runs):
        lines[0] += " Resampling the fakes lowers it as well."
    bound = 0.5 + runs[0].declared.answer.margin
    stayed = [name for name, (before, after) in falls.items() if before > bound and after >= before]
    if stayed:
        lines.append(
            f"{WARNING}a response did not bring down detectors that it was given ({', '.join(stayed)}). More steps, or "
            "a larger weight, may."
        )
    beaten = [name for name, auc in unattacked.items() if falls[name][1] >= auc > bound]
    if beaten:
        lines.append(
            f"{WARNING}attacked detectors fare no worse than without attack, under access=none ({', '.join(beaten)})."
        )
    return lines


def resampling_in_words(runs: Sequence[FinishedRun]) -> list[str]:
    """Return how many candidates the fakes of the last round were drawn from, and by how much that lowered an AUC.

    It is the AUC of the stack over the attacker's probes, on reals of the loop, as a mean over runs.
    """
    last = runs[0].declared.last_round
    records = [
        record
        for run in runs
        for record in run.of_kind(ResamplingRecord)
        if record.round == last and record.technique == STACK
    ]
    chosen = [record.auc for record in records if record.chosen]
    plain = [record.auc for record in records if record.shrink == 0]
    if not chosen:
        return []
    candidates = f"{1 / records[0].accepted:.0f} candidates"
    line = f"Each fake of the last round was drawn from {candidates}, by new detectors of the attacker."
    if plain:
        before, after = fmean(plain), fmean(chosen)
        line += f" Its probes read {before:.3f} for the {STACK} on fakes as they come, and {after:.3f} on these."
    return [line]


def frozen_fall(runs: Sequence[FinishedRun], technique: str) -> tuple[float, float] | None:
    """Return the mean AUC of the detectors of the round before the last: on the fakes of their round, and of the last.

    None without runs, without a response, or where a run lacks one of the two tests.
    """
    aucs = []
    for run in runs:
        past = run.declared.last_round - 1
        tests = {
            record.generator_round: record.auc
            for record in run.of_kind(ScoreRecord)
            if (record.technique, record.detector_round) == (technique, past)
            and record.regime in ("frozen", "retrained")
        }
        if past not in tests or past + 1 not in tests:
            return None
        aucs.append((tests[past], tests[past + 1]))
    if not aucs:
        return None
    before, after = np.mean(aucs, axis=0).tolist()
    return before, after


def knowledge_in_words(strong: Condition, among: Sequence[Condition]) -> list[str]:
    """Return a warning for each technique that a condition with less access to it evades better, clear of the error.

    The condition is compared with those that differ in their access alone. Controls are left out, except
    ``access=none``.
    """
    if not _compared(strong):
        return []
    lines = []
    for weak in filter(_compared, among):
        if weak is strong or not strong.differs_in_access_alone(weak):
            continue
        for contrast in _of_more_access(strong, weak):
            if contrast.difference.low > 0:
                lines.append(
                    f"{WARNING}{weak.name} evades {contrast.technique} better than {strong.name}, which knows more of "
                    f"it (AUC lower by {contrast.difference.value:.3f}, at least {contrast.difference.low:.3f}). The "
                    "attack is not as strong as its knowledge allows."
                )
    return lines


def _compared(condition: Condition) -> bool:
    """Whether a condition is an attack, or ``access=none``."""
    return condition.matching is None and (not condition.control or condition.access == "none")


def _of_more_access(strong: Condition, weak: Condition) -> list[Contrast]:
    """Contrasts of the techniques of which the first condition knows more, if it knows less of none."""
    pairs = [(strong.runs[i], weak.runs[j]) for i, j in matched(strong.runs, weak.runs)]
    if not pairs:
        return []
    names = compared_techniques(pairs, None)
    gains = {name: LEVELS.index(_access(strong.runs, name)) - LEVELS.index(_access(weak.runs, name)) for name in names}
    if min(gains.values(), default=0) < 0:
        return []
    more: Mapping[str, tuple[str, str]] = {name: pair for name, pair in names.items() if gains[name] > 0}
    return contrasts(pairs, more)


def _attacked(runs: Sequence[FinishedRun]) -> list[str]:
    """Techniques to which any access is on record. Random critics have the names of techniques, and access to none."""
    return [name for name in runs[0].declared.techniques if _access(runs, name) != "none"]


def _access(runs: Sequence[FinishedRun], technique: str) -> AccessLevel:
    """The highest access to a technique on record."""
    return highest_access(record.access for run in runs for record in run.fresh(technique).values())


def _shares(records: Sequence[GradientRecord]) -> tuple[float, float]:
    """Shares of fakes with a zero gradient, and with one that is not finite."""
    fakes = max(sum(record.fakes for record in records), 1)
    return sum(record.zero for record in records) / fakes, sum(record.not_finite for record in records) / fakes
