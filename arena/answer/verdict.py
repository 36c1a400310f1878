"""The answer of a run, or of the runs of one condition, in the order of the rules: ``verdict.json``.

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

import numpy as np

from arena.answer.estimate import Estimate
from arena.answer.findings import Finding, Guards, TechniqueFinding, findings, guards
from arena.answer.humans import People
from arena.answer.limit.curve import STRONGEST
from arena.answer.limit.distance import DistanceSummary, distance
from arena.answer.limit.limit import SUPPOSED, Limit, TechniqueLimit, own_limits
from arena.answer.runs import FinishedRun, read_run
from arena.answer.sentences import sentence
from arena.config.schema import BAG
from arena.core.files import write_atomically

Answer = Literal["passes_all", "caught", "undecided", "invalid"]


@dataclass(frozen=True)
class TechniqueAnswer:
    """A technique's AUC at the last round with its one-sided bounds at ``alpha`` each; None where not recorded."""

    auc: float | None
    low: float | None
    high: float | None
    told: bool
    finding: Finding


@dataclass(frozen=True)
class Interval:
    """An AUC with bounds."""

    auc: float
    low: float
    high: float


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
class ControlDifference:
    """AUC of the strongest technique less that of a matched control, with a 95% interval."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """``verdict.json``: the keys are the fields.

    ``limit`` is where the strongest technique's AUC levels off as rounds go on; ``limit_reason`` says what it supposes
    or, where it is None, why. ``distance`` is what the strongest technique's judges say of the laws of real and fake.
    ``faults`` flags a race whose generator was rolled back while it trained; contrasts leave it out.
    """

    answer: Answer
    margin: float
    alpha: float
    round: int
    techniques: Mapping[str, TechniqueAnswer]
    strongest: Strongest | None
    limit: Limit | None
    limit_reason: str
    distance: DistanceSummary | None
    control: Mapping[str, ControlDifference | None] | None
    guards: Guards
    faults: tuple[str, ...]
    sentence: str

    def to_json(self) -> str:
        """Indented JSON; a figure that is infinite or no number is null."""
        return json.dumps(_plain(dataclasses.asdict(self)), indent=2, allow_nan=False) + "\n"

    def write(self, run: Path) -> None:
        """Write ``verdict.json`` into a run directory."""
        write_atomically(run / "verdict.json", self.to_json().encode())


def read_verdict(run: Path) -> Verdict:
    """The verdict on a finished run, from its records.

    Raises:
        ArenaError: one line, if it is no run, was altered, or is not finished.
    """
    return verdict([read_run(run)])


def verdict(
    runs: Sequence[FinishedRun],
    control: Mapping[str, ControlDifference | None] | None = None,
    people: People | None = None,
    limits: Mapping[str, TechniqueLimit] | None = None,
) -> Verdict:
    """The verdict on one run, or on the runs of one condition over its seeds.

    Args:
        runs: finished runs, with equal configs but for their seeds.
        control: paired differences from the matched controls ``none`` and ``placebo``, where they were run.
        people: what people said of the images of the quiz, as a technique beside the battery.
        limits: of the condition, where they are known already.
    """
    terms = runs[0].declared
    found = findings(runs, people)
    held = guards(runs, [its for its in found if not its.people])
    answer = decide(found, held)
    strongest = _strongest(runs, found, terms.answer.alpha)
    levelled = (own_limits(runs) if limits is None else limits).get(STRONGEST)
    return Verdict(
        answer=answer,
        margin=terms.answer.margin,
        alpha=terms.answer.alpha,
        round=terms.last_round,
        techniques={its.technique: _technique(its, terms.answer.alpha) for its in found},
        strongest=strongest,
        limit=levelled and levelled.its.limit,
        limit_reason=(levelled.its.reason or SUPPOSED) if levelled else "no fit technique was judged at the last round",
        distance=strongest and DistanceSummary.of(distance(runs, strongest.technique)),
        control=control,
        guards=held,
        faults=tuple(fault for run in runs for fault in run.faults),
        sentence=sentence(answer, found, held, terms, len(runs), len({run.origin_seed for run in runs} - {None}) == 1),
    )


def decide(found: Sequence[TechniqueFinding], held: Guards) -> Answer:
    """The order of the rules."""
    if not held.memorisation.holds:
        return "invalid"
    if any(its.finding == "caught" for its in found):
        return "caught"
    if not (held.quality.holds and held.variety.holds and held.provenance.holds):
        return "invalid"
    if any(its.finding in ("unfit", "undecided") for its in found):
        return "undecided"
    return "passes_all"


def strongest_technique(runs: Sequence[FinishedRun], techniques: Sequence[str]) -> tuple[str, float] | None:
    """The technique of highest mean validation AUC, and that AUC: chosen where its test cannot flatter it."""
    chosen = None
    for technique in techniques:
        on_validation = [run.validation_auc(technique) for run in runs]
        known = [auc for auc in on_validation if auc is not None]
        if len(known) == len(runs) and (chosen is None or np.mean(known) > chosen[1]):
            chosen = technique, float(np.mean(known))
    return chosen


def _strongest(runs: Sequence[FinishedRun], found: Sequence[TechniqueFinding], alpha: float) -> Strongest | None:
    single = [its for its in found if its.finding != "unfit" and its.technique != BAG]
    estimates = {its.technique: its.estimate for its in single if its.estimate is not None}
    chosen = strongest_technique(runs, list(estimates))
    if chosen is None:
        return None
    technique, validation_auc = chosen
    test = _interval(estimates[technique], alpha)
    floor = [record for run in runs for record in run.oracle(technique)]
    of_oracle = np.mean([(record.found, record.low, record.high) for record in floor], axis=0) if floor else None
    return Strongest(
        technique,
        validation_auc,
        test.auc,
        test.low,
        test.high,
        floor=None if of_oracle is None else Interval(*(float(value) for value in of_oracle)),
    )


def _technique(its: TechniqueFinding, alpha: float) -> TechniqueAnswer:
    if its.estimate is None:
        return TechniqueAnswer(None, None, None, its.told, its.finding)
    test = _interval(its.estimate, alpha)
    return TechniqueAnswer(test.auc, test.low, test.high, its.told, its.finding)


def _interval(found: Estimate, alpha: float) -> Interval:
    return Interval(found.value, max(0.0, found.low(alpha)), min(1.0, found.high(alpha)))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
