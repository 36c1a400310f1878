"""The verdict on a run, or on the runs of one condition, in the order of the rules: ``verdict.json``.

The order: memorised, so invalid; caught by any fit technique; a guard of quality, variety or provenance broken, so
invalid; a technique unfit or undecided, so undecided; otherwise every technique passes (an intersection-union test,
which needs no correction: Berger 1982).
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from arena.answer.findings import Finding, Guards, TechniqueFinding, fit_techniques, strongest
from arena.answer.limit.distance import DistanceSummary
from arena.answer.runs import FinishedRun, oracle_floor
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
    """The technique with the highest validation AUC; its test AUC, and the oracle's for the same technique as floor."""

    technique: str
    validation_auc: float
    auc: float
    low: float
    high: float
    floor: Interval | None


@dataclass(frozen=True)
class Verdict:
    """``verdict.json``: the keys are the fields.

    ``limit`` is where the strongest technique's AUC levels off as rounds go on. ``limit_reason`` says what it assumes
    or, where it is None, why. ``distance`` is what the strongest technique's judges say of the laws of real and fake.
    ``faults`` flags a race whose generator was rolled back while it trained. Contrasts leave it out.
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
            "control": self.control and {name: its and its.as_json("difference") for name, its in self.control.items()},
        }
        return _plain(dataclasses.asdict(self) | intervals)

    def to_json(self) -> str:
        """Return ``verdict.json`` as indented text."""
        return json.dumps(self.as_json(), indent=2, allow_nan=False) + "\n"

    def write(self, run: Path) -> None:
        """Write ``verdict.json`` into a run directory."""
        write_atomically(run / "verdict.json", self.to_json().encode())


def decide(found: Sequence[TechniqueFinding], held: Guards) -> Decision:
    """Return the answer by the order of the rules."""
    if not held.memorisation.holds:
        return "invalid"
    if any(its.finding == "caught" for its in found):
        return "caught"
    if not (held.quality.holds and held.variety.holds and held.provenance.holds):
        return "invalid"
    if any(its.finding in ("unfit", "undecided") for its in found):
        return "undecided"
    return "passes_all"


def strongest_finding(runs: Sequence[FinishedRun], found: Sequence[TechniqueFinding]) -> Strongest | None:
    """Return the strongest of the fit techniques, chosen on validation. None where none has a validation AUC."""
    chosen = strongest({name: [run.validation_auc(name) for run in runs] for name in fit_techniques(found)})
    if chosen is None:
        return None
    technique, validation_auc = chosen
    test = technique_verdict(next(its for its in found if its.technique == technique), runs[0].declared.answer.alpha)
    assert test.auc is not None
    assert test.low is not None
    assert test.high is not None
    return Strongest(technique, validation_auc, test.auc, test.low, test.high, oracle_floor(runs, technique))


def technique_verdict(found: TechniqueFinding, alpha: float) -> TechniqueVerdict:
    """Return a technique's finding as the verdict states it."""
    test = (None, None, None) if found.estimate is None else found.estimate.interval(alpha).clipped()
    return TechniqueVerdict(*test, found.access, found.finding)


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    return {
        key: _plain(value)
        if isinstance(value, Mapping)
        else None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for key, value in values.items()
    }
