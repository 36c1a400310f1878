"""The verdict on a run, or on the runs of one condition: guards of the images, ``verdict.json`` and its sentence.

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

from arena.answer.distance import Distance
from arena.answer.findings import Finding, TechniqueFinding, strongest_on_validation
from arena.answer.runs import FinishedRun, oracle_floor
from arena.answer.tiers import Tiers
from arena.config.schema import AnswerConfig
from arena.core.files import write_atomically
from arena.metrics.interval import Interval
from arena.records.schema import AccessLevel, ProvenanceRecord, QualityRecord

Decision = Literal["passes_all", "caught", "undecided", "invalid"]


@dataclass(frozen=True)
class Guard:
    """A figure, the threshold declared for it, and whether it holds."""

    figure: float
    threshold: float
    holds: bool


@dataclass(frozen=True)
class Guards:
    """The guards, all of them reported in every case. Over several runs each is that of its worst run.

    Args:
        quality: kernel distance to reals, in units of the distance of reals at half their resolution. At most the
            limit.
        variety: recall or coverage, whichever is the smaller share of the same figure of reals. At least the limit.
        memorisation: share of fakes nearer to the generator's training images than to as many reference reals. Broken
            where the lower end of its 95% interval is above the limit.
        judges: share of the techniques whose judges are fit. Must be 1.
        provenance: differences between the files of reals and of fakes. Must be 0.
    """

    quality: Guard
    variety: Guard
    memorisation: Guard
    judges: Guard
    provenance: Guard


def guards(runs: Sequence[FinishedRun], findings: Sequence[TechniqueFinding]) -> Guards:
    """Return the guards. People do not count among the judges that must be fit."""
    limits = runs[0].declared.answer
    measured = [run.quality for run in runs]
    findings = [each for each in findings if not each.people]
    fit = sum(each.finding != "unfit" for each in findings) / len(findings)
    different = max(sum(len(record.differences) for record in run.of_kind(ProvenanceRecord)) for run in runs)
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
    figure = _ratio(record.kernel_distance, record.blurred_kernel_distance, if_unknown=math.inf)
    return Guard(figure, limits.quality_limit, figure <= limits.quality_limit)


def _variety(record: QualityRecord, limits: AnswerConfig) -> Guard:
    recall = _ratio(record.recall, record.real_recall, if_unknown=0.0)
    figure = min(recall, _ratio(record.coverage, record.real_coverage, if_unknown=0.0))
    return Guard(figure, limits.variety_limit, figure >= limits.variety_limit)


def _memorisation(record: QualityRecord, limits: AnswerConfig) -> Guard:
    return Guard(record.memorisation, limits.memorisation_limit, record.memorisation_low <= limits.memorisation_limit)


def _ratio(part: float, whole: float, if_unknown: float) -> float:
    """``part / whole``, or ``if_unknown`` where that is no finite number: the value that breaks the guard."""
    figure = part / whole if whole > 0 else math.nan
    return figure if math.isfinite(figure) else if_unknown


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

    ``tiers`` has the verdicts of three kinds of detector, of which ``answer`` repeats the adaptive one.
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
    tiers: Tiers
    strongest: Strongest | None
    limit: Interval | None
    limit_reason: str
    distance: Distance | None
    control: Mapping[str, Interval | None] | None
    guards: Guards
    faults: tuple[str, ...]
    sentence: str

    def as_json(self) -> dict[str, object]:
        """Return the verdict as JSON has it. A figure that is infinite or not a number is None."""
        strongest = self.strongest and dataclasses.asdict(self.strongest)
        if self.strongest and strongest and self.strongest.floor:
            strongest["floor"] = self.strongest.floor.as_json("auc")
        parts = {
            "strongest": strongest,
            "limit": self.limit and self.limit.as_json("asymptote"),
            "distance": self.distance and self.distance.as_json(),
            "control": self.control
            and {name: each and each.as_json("difference") for name, each in self.control.items()},
        }
        return {key: _plain(value) for key, value in (dataclasses.asdict(self) | parts).items()}

    def write(self, run: Path) -> None:
        """Write ``verdict.json`` into a run directory."""
        text = json.dumps(self.as_json(), indent=2, allow_nan=False) + "\n"
        write_atomically(run / "verdict.json", text.encode())


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
    best = strongest_on_validation(runs, findings)
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
        words = f"Invalid {where}: {_broken(guards)}."
    else:
        words = _of_battery(answer, [each for each in findings if not each.people], where, terms.answer)
    return " ".join([words, *(_of_people(each) for each in findings if each.people)])


def _of_battery(answer: Decision, findings: Sequence[TechniqueFinding], where: str, terms: AnswerConfig) -> str:
    bound, count = 0.5 + terms.margin, len(findings)
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
            f"{1 - terms.alpha:.0%} confidence, and the guards of quality, variety, memorisation and provenance "
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
    memorisation, quality, variety, provenance = guards.memorisation, guards.quality, guards.variety, guards.provenance
    properties = "1 property" if provenance.figure == 1 else f"{provenance.figure:g} properties"
    reasons = [
        (
            memorisation,
            f"the generator memorised: {memorisation.figure:.0%} of its fakes lie nearer to its training images than "
            f"to as many other real images (chance 50%, limit {memorisation.threshold:.0%})",
        ),
        (
            quality,
            f"the images lost quality: their kernel distance is {quality.figure:.2f} times that of blurred real images "
            f"(limit {quality.threshold:g})",
        ),
        (
            variety,
            f"the images lost variety: {variety.figure:.0%} of that of real images (limit {variety.threshold:.0%})",
        ),
        (provenance, f"the files of real and fake images differ in {properties}"),
    ]
    return "; ".join(reason for guard, reason in reasons if not guard.holds)


def _auc(finding: TechniqueFinding) -> float:
    return -1.0 if finding.estimate is None else finding.estimate.value


def _with_interval(finding: TechniqueFinding) -> str:
    """Such as "AUC 0.515 (95% CI 0.494 to 0.536, cnn)": both bounds at 2.5%."""
    if finding.estimate is None:
        return finding.technique
    auc = finding.estimate.interval().clipped()
    return f"AUC {auc.value:.3f} (95% CI {auc.low:.3f} to {auc.high:.3f}, {finding.technique})"
