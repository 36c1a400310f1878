"""The verdict on a run, or on the runs of one condition: ``verdict.json`` and its sentence.

The rules apply in this order:

1. The generator memorised: invalid.
2. A fit technique caught it: caught.
3. The guard of quality, variety, classes or provenance is broken: invalid.
4. A technique is unfit or undecided, or such a guard is not shown to hold: undecided.
5. Otherwise every technique passes: passes_all. This intersection-union test needs no correction (Berger 1982).
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from arena.answer.distance import Distance
from arena.answer.findings import Finding, TechniqueFinding, strongest_on_validation
from arena.answer.guards import Guards
from arena.answer.runs import FinishedRun, equal_n_auc, floor_auc, oracle_auc
from arena.answer.tiers import Tiers
from arena.config.schema import AnswerConfig
from arena.core.files import write_atomically
from arena.metrics.interval import Interval
from arena.records.schema import AccessLevel

Decision = Literal["passes_all", "caught", "undecided", "invalid"]


@dataclass(frozen=True)
class TechniqueVerdict:
    """A technique's AUC at the last round with its one-sided bounds at ``alpha`` each. None where not recorded.

    ``saturated`` says whether twice the judges' data is shown to add less than half the margin: ``gain_high`` is the
    upper bound of that gain. Both are None where no judges with half of the data are on record.
    """

    auc: float | None
    low: float | None
    high: float | None
    access: AccessLevel
    finding: Finding
    saturated: bool | None
    gain_high: float | None


@dataclass(frozen=True)
class Strongest:
    """The technique with the highest validation AUC, with its test AUC and those of the controls.

    ``oracle`` is its AUC of real images called fake, and ``equal_n`` that of as few of the race's own fakes, to be
    compared with it. ``floor`` is its AUC of resampled reals of generator-train (``arena.generators.floor``), to be
    compared with the test AUC.
    """

    technique: str
    validation_auc: float
    auc: float
    low: float
    high: float
    oracle: Interval | None
    equal_n: Interval | None
    floor: Interval | None


@dataclass(frozen=True)
class Verdict:
    """``verdict.json``: its keys are the fields.

    ``tiers`` has the verdicts of three kinds of detector, of which ``answer`` repeats the adaptive one.
    ``limit`` is the AUC at which the strongest technique levels off as rounds go on. ``limit_reason`` states its
    assumption, or why there is none. ``distance`` holds the bounds on the distance between real and fake from the
    strongest technique's judges. ``power`` is the probability with which a perfect generator would have passed.
    ``faults`` lists the times that a generator was rolled back while it trained, and contrasts leave such a run out.
    """

    answer: Decision
    margin: float
    alpha: float
    round: int
    techniques: Mapping[str, TechniqueVerdict]
    tiers: Tiers
    strongest: Strongest | None
    limit: Interval | None
    limit_reason: str
    distance: Distance | None
    control: Mapping[str, Interval | None] | None
    guards: Guards
    power: float | None
    faults: tuple[str, ...]
    sentence: str

    def as_json(self) -> dict[str, object]:
        """Return the verdict as JSON has it. A figure that is infinite or not a number is None."""
        strongest = self.strongest and dataclasses.asdict(self.strongest)
        if self.strongest and strongest:
            controls = {name: getattr(self.strongest, name) for name in ("oracle", "equal_n", "floor")}
            strongest |= {name: each and each.as_json("auc") for name, each in controls.items()}
        parts = {
            "strongest": strongest,
            "limit": self.limit and self.limit.as_json("asymptote"),
            "distance": self.distance and self.distance.as_json(),
            "control": self.control
            and {name: each and each.as_json("difference") for name, each in self.control.items()},
        }
        return {key: _plain(value) for key, value in (dataclasses.asdict(self) | parts).items()}

    def write(self, run: Path) -> Path:
        """Write ``verdict.json`` into a run directory, and return its path."""
        text = json.dumps(self.as_json(), indent=2, allow_nan=False) + "\n"
        write_atomically(run / "verdict.json", text.encode())
        return run / "verdict.json"


def decide(findings: Sequence[TechniqueFinding], guards: Guards) -> Decision:
    """Return the answer by the order of the rules."""
    if not guards.memorisation.holds:
        return "invalid"
    if any(each.finding == "caught" for each in findings):
        return "caught"
    if any(guard.broken for guard in guards.of_images):
        return "invalid"
    if any(each.finding in ("unfit", "undecided") for each in findings):
        return "undecided"
    if not all(guard.holds for guard in guards.of_images):
        return "undecided"
    return "passes_all"


def strongest_finding(runs: Sequence[FinishedRun], findings: Sequence[TechniqueFinding]) -> Strongest | None:
    """Return the strongest of the fit techniques on validation, or None where none has a validation AUC."""
    best = strongest_on_validation(runs, findings)
    if best is None:
        return None
    technique, validation_auc = best
    estimates = {each.technique: each.estimate for each in findings if each.estimate is not None}
    test = estimates[technique].interval(runs[0].declared.answer.alpha).clipped()
    controls = (auc(runs, technique) for auc in (oracle_auc, equal_n_auc, floor_auc))
    return Strongest(technique, validation_auc, *test, *controls)


def floor_in_words(strongest: Strongest | None) -> list[str]:
    """Return the floor of the strongest technique in words, or nothing where it was not tested."""
    if strongest is None or strongest.floor is None:
        return []
    value, low, high = strongest.floor
    return [
        f"Floor ({strongest.technique}): resampled real images reach AUC {value:.3f} [{low:.3f}, {high:.3f}]. That is "
        "what a generator with these reals can reach without learning, and no strict bound. To stay below it, a "
        "generator must generalise."
    ]


def technique_verdict(finding: TechniqueFinding, alpha: float) -> TechniqueVerdict:
    """Return a technique's finding as the verdict states it."""
    auc = (None, None, None) if finding.estimate is None else finding.estimate.interval(alpha).clipped()
    gain_high = None if finding.gain is None else finding.gain.high(alpha)
    return TechniqueVerdict(*auc, finding.access, finding.finding, finding.saturated, gain_high)


def _plain(value: object) -> object:
    """The value with None for every number that is not finite, as JSON has none."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


NAMED = 5
"""The most techniques that the sentence of a caught generator names, the highest AUC first. The table has all."""


def sentence(
    answer: Decision, findings: Sequence[TechniqueFinding], guards: Guards, runs: Sequence[FinishedRun]
) -> str:
    """Return the verdict in a few sentences, of which the first names the answer."""
    terms = runs[0].declared
    where = f"at round {terms.last_round}"
    if len(runs) > 1:
        one_origin = len({run.origin_seed for run in runs} - {None}) == 1  # whose own luck their errors leave out
        where += f" of {len(runs)} runs" + (" that all branched from one" if one_origin else "")
    if answer == "invalid":
        broken = "; ".join(guard.reason for guard in guards.of_images if guard.broken)
        words = f"Invalid {where}: {broken}."
    else:
        words = _of_battery(answer, [each for each in findings if not each.people], guards, where, terms.answer)
    return " ".join([words, *(_of_people(each) for each in findings if each.people)])


def _of_battery(
    answer: Decision, findings: Sequence[TechniqueFinding], guards: Guards, where: str, terms: AnswerConfig
) -> str:
    bound, count = 0.5 + terms.margin, len(findings)
    caught = sorted((each for each in findings if each.finding == "caught"), key=_auc, reverse=True)
    if caught:
        named = ", ".join(_with_interval(each) for each in caught[:NAMED])
        named += f" and {len(caught) - NAMED} more" if len(caught) > NAMED else ""
        return (
            f"Caught {where}: fresh judges of {len(caught)} of {count} techniques in this battery, with this data and "
            f"budget, detected the fakes: {named}.{_not_saturated(findings, terms)}"
        )
    highest = max(findings, key=_auc)
    exceeded = "left an AUC on record" if highest.estimate is None else f"exceeded {_with_interval(highest)}"
    no_more = f"no technique in this battery, with this data and budget, {exceeded}"
    if answer == "passes_all":
        return (
            f"Passes all {where}: {no_more}. Fresh judges of all {count} are below AUC {bound:g} at one-sided "
            f"{1 - terms.alpha:.0%} confidence, and all guards of the images hold."
        )
    if answer == "caught":
        return f"Caught {where}, by people alone: {no_more}."
    cleared = sum(each.finding == "passes" for each in findings)
    unshown = [guard.reason for guard in guards.of_images if not guard.holds]
    if cleared == count:
        but = "; ".join(unshown) or "people are not"
        return f"Undecided {where}: {no_more}. All {count} are shown to be below AUC {bound:g}, but {but}."
    reasons: dict[str, list[str]] = {}
    for each in findings:
        if each.finding in ("undecided", "unfit"):
            reasons.setdefault(each.reason, []).append(each.technique)
    still_open = "; ".join([*(f"{', '.join(names)}: {reason}" for reason, names in reasons.items()), *unshown])
    return (
        f"Undecided {where}: {no_more}, but only {cleared} of {count} are shown to be below AUC {bound:g}. Still open: "
        f"{still_open}.{_not_saturated(findings, terms)}"
    )


def _of_people(finding: TechniqueFinding) -> str:
    detected = "detected the fakes" if finding.finding == "caught" else "did not clearly detect the fakes"
    return f"People {detected}: {_with_interval(finding)}; {finding.reason}."


def _not_saturated(findings: Sequence[TechniqueFinding], terms: AnswerConfig) -> str:
    """Return a sentence that names techniques whose judges may gain from more data, or nothing."""
    named = [each.technique for each in findings if each.saturated is False]
    if not named:
        return ""
    return f" Not saturated, so that twice the data may add more than {terms.margin / 2:g}: {', '.join(named)}."


def _auc(finding: TechniqueFinding) -> float:
    return -1.0 if finding.estimate is None else finding.estimate.value


def _with_interval(finding: TechniqueFinding) -> str:
    """Such as "AUC 0.515 (95% CI 0.494 to 0.536, cnn)": both bounds at 2.5%."""
    if finding.estimate is None:
        return finding.technique
    auc = finding.estimate.interval().clipped()
    return f"AUC {auc.value:.3f} (95% CI {auc.low:.3f} to {auc.high:.3f}, {finding.technique})"
