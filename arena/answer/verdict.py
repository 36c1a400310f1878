"""The verdict on a run, or on the runs of one condition: ``verdict.json``.

The rules apply in this order:

1. The generator memorised: invalid.
2. A fit technique caught it: caught.
3. The guard of quality, variety or provenance is broken: invalid.
4. A technique is unfit or undecided: undecided.
5. Otherwise every technique passes: passes_all. This intersection-union test needs no correction (Berger 1982).
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from arena.answer.distance import DistanceSummary
from arena.answer.findings import Finding, Guards, TechniqueFinding, fit_techniques, strongest
from arena.answer.runs import Declared, FinishedRun, oracle_floor
from arena.core.files import write_atomically
from arena.metrics.interval import Interval
from arena.records.schema import AccessLevel

Decision = Literal["passes_all", "caught", "undecided", "invalid"]


@dataclass(frozen=True)
class TechniqueVerdict:
    """A technique's AUC at the last round with its one-sided bounds at ``alpha`` each. None where not recorded."""

    auc: float | None
    low: float | None
    high: float | None
    access: AccessLevel
    finding: Finding


@dataclass(frozen=True)
class Strongest:
    """The technique with the highest validation AUC, with its test AUC and the oracle's AUC for it as floor."""

    technique: str
    validation_auc: float
    auc: float
    low: float
    high: float
    floor: Interval | None


@dataclass(frozen=True)
class Verdict:
    """``verdict.json``: its keys are the fields.

    ``limit`` is the AUC at which the strongest technique levels off as rounds go on. ``limit_reason`` states its
    assumption, or why there is none. ``distance`` holds the bounds on the distance between real and fake from the
    strongest technique's judges. ``faults`` lists the times that a generator was rolled back while it trained, and
    contrasts leave such a run out.
    """

    answer: Decision
    margin: float
    alpha: float
    round: int
    techniques: Mapping[str, TechniqueVerdict]
    strongest: Strongest | None
    limit: Interval | None
    limit_reason: str
    distance: DistanceSummary | None
    control: Mapping[str, Interval | None] | None
    guards: Guards
    faults: tuple[str, ...]
    sentence: str

    def as_json(self) -> dict[str, object]:
        """Return the verdict as JSON has it. A figure that is infinite or not a number is None."""
        strongest = self.strongest and dataclasses.asdict(self.strongest)
        if self.strongest and strongest and self.strongest.floor:
            strongest["floor"] = self.strongest.floor.as_json("auc")
        intervals = {
            "strongest": strongest,
            "limit": self.limit and self.limit.as_json("asymptote"),
            "control": self.control
            and {name: each and each.as_json("difference") for name, each in self.control.items()},
        }
        return _plain(dataclasses.asdict(self) | intervals)

    def to_json(self) -> str:
        """Return ``verdict.json`` as indented text."""
        return json.dumps(self.as_json(), indent=2, allow_nan=False) + "\n"

    def write(self, run: Path) -> None:
        """Write ``verdict.json`` into a run directory."""
        write_atomically(run / "verdict.json", self.to_json().encode())


def decide(findings: Sequence[TechniqueFinding], guards: Guards) -> Decision:
    """Return the answer by the order of the rules."""
    if not guards.memorisation.holds:
        return "invalid"
    if any(each.finding == "caught" for each in findings):
        return "caught"
    if not (guards.quality.holds and guards.variety.holds and guards.provenance.holds):
        return "invalid"
    if any(each.finding in ("unfit", "undecided") for each in findings):
        return "undecided"
    return "passes_all"


def strongest_finding(runs: Sequence[FinishedRun], findings: Sequence[TechniqueFinding]) -> Strongest | None:
    """Return the strongest of the fit techniques on validation, or None where none has a validation AUC."""
    best = strongest({name: [run.validation_auc(name) for run in runs] for name in fit_techniques(findings)})
    if best is None:
        return None
    technique, validation_auc = best
    estimates = {each.technique: each.estimate for each in findings if each.estimate is not None}
    test = estimates[technique].interval(runs[0].declared.answer.alpha).clipped()
    return Strongest(technique, validation_auc, *test, oracle_floor(runs, technique))


def technique_verdict(finding: TechniqueFinding, alpha: float) -> TechniqueVerdict:
    """Return a technique's finding as the verdict states it."""
    auc = (None, None, None) if finding.estimate is None else finding.estimate.interval(alpha).clipped()
    return TechniqueVerdict(*auc, finding.access, finding.finding)


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    """The values with None for every number that is not finite, as JSON has none."""
    plain: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            plain[key] = _plain(value)
        else:
            plain[key] = None if isinstance(value, float) and not math.isfinite(value) else value
    return plain


NAMED = 5
"""The most techniques that the sentence of a caught generator names, the highest AUC first. The table has all."""


def sentence(
    answer: str,
    findings: Sequence[TechniqueFinding],
    guards: Guards,
    terms: Declared,
    runs: int,
    one_origin: bool = False,
) -> str:
    """Return the verdict in a few sentences, of which the first names the answer.

    Args:
        answer: passes_all, caught, undecided or invalid.
        findings: of every technique, and of people.
        guards: of the images.
        terms: the declaration.
        runs: number of runs.
        one_origin: whether they all branched from one run, whose own luck their errors leave out.
    """
    where = f"at round {terms.last_round}" + (f" of {runs} runs" if runs > 1 else "")
    where += " that all branched from one" if runs > 1 and one_origin else ""
    battery = [each for each in findings if not each.people]
    people = [each for each in findings if each.people]
    if answer == "invalid":
        words = f"Invalid {where}: {_broken(guards)}."
    else:
        words = _of_battery(answer, battery, where, terms)
    return " ".join([words, *map(_of_people, people)])


def _of_battery(answer: str, findings: Sequence[TechniqueFinding], where: str, terms: Declared) -> str:
    bound, count = 0.5 + terms.answer.margin, len(findings)
    caught = sorted((each for each in findings if each.finding == "caught"), key=_auc, reverse=True)
    if caught:
        named = ", ".join(_with_interval(each) for each in caught[:NAMED])
        named += f" and {len(caught) - NAMED} more" if len(caught) > NAMED else ""
        return (
            f"Caught {where}: fresh judges of {len(caught)} of {count} techniques in this battery, with this data and "
            f"budget, detected the fakes: {named}."
        )
    highest = max(findings, key=_auc)
    exceeded = "left an AUC on record" if highest.estimate is None else f"exceeded {_with_interval(highest)}"
    no_more = f"no technique in this battery, with this data and budget, {exceeded}"
    if answer == "passes_all":
        return (
            f"Passes all {where}: {no_more}. Fresh judges of all {count} are below AUC {bound:g} at one-sided "
            f"{1 - terms.answer.alpha:.0%} confidence, and the guards of quality, variety, memorisation and provenance "
            "hold."
        )
    if answer == "caught":
        return f"Caught {where}, by people alone: {no_more}."
    cleared = sum(each.finding == "passes" for each in findings)
    if cleared == count:
        return f"Undecided {where}: {no_more}. All {count} are shown to be below AUC {bound:g}, but people are not."
    reasons: dict[str, list[str]] = {}
    for each in findings:
        if each.finding in ("undecided", "unfit"):
            reasons.setdefault(each.reason, []).append(each.technique)
    still_open = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
    return (
        f"Undecided {where}: {no_more}, but only {cleared} of {count} are shown to be below AUC {bound:g}. Still open: "
        f"{still_open}."
    )


def _of_people(finding: TechniqueFinding) -> str:
    detected = "detected the fakes" if finding.finding == "caught" else "did not clearly detect the fakes"
    return f"People {detected}: {_with_interval(finding)}; {finding.reason}."


def _broken(guards: Guards) -> str:
    reasons = []
    if not guards.memorisation.holds:
        reasons.append(
            f"the generator memorised: {guards.memorisation.figure:.0%} of its fakes lie nearer to its training images "
            f"than to as many other real images (chance 50%, limit {guards.memorisation.threshold:.0%})"
        )
    if not guards.quality.holds:
        reasons.append(
            f"the images lost quality: their kernel distance is {guards.quality.figure:.2f} times that of blurred real "
            f"images (limit {guards.quality.threshold:g})"
        )
    if not guards.variety.holds:
        reasons.append(
            f"the images lost variety: {guards.variety.figure:.0%} of that of real images (limit "
            f"{guards.variety.threshold:.0%})"
        )
    if not guards.provenance.holds:
        count = round(guards.provenance.figure)
        reasons.append(f"the files of real and fake images differ in {count} propert{'y' if count == 1 else 'ies'}")
    return "; ".join(reasons)


def _auc(finding: TechniqueFinding) -> float:
    return -1.0 if finding.estimate is None else finding.estimate.value


def _with_interval(finding: TechniqueFinding) -> str:
    """Such as "AUC 0.515 (95% CI 0.494 to 0.536, cnn)": both bounds at 2.5%."""
    if finding.estimate is None:
        return finding.technique
    auc = finding.estimate.interval().clipped()
    return f"AUC {auc.value:.3f} (95% CI {auc.low:.3f} to {auc.high:.3f}, {finding.technique})"
