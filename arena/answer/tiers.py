"""The three verdicts: of the deployed detectors, of transferred ones, and of adaptive ones.

- *deployed*: the very detectors that the last response was given, frozen, on the fakes that it led to.
- *transferred*: detectors of the same techniques that learned from other instances of the generator (``arena cross``).
- *adaptive*: fresh judges that learned from these very fakes. The headline of the verdict is this one.

Each is split into techniques that the generator attacked and techniques that it did not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from arena.answer.cross import transferred_estimate
from arena.answer.estimate import Estimate, estimate
from arena.answer.findings import Finding, TechniqueFinding, findings_of_estimates
from arena.answer.runs import FinishedRun
from arena.records.schema import ScoreRecord

TierAnswer = Literal["passes", "caught", "undecided"]
TIERS = {
    "deployed": "the detectors of the round before, as the generator met them",
    "transferred": "judges trained on other runs' fakes (arena cross)",
    "adaptive": "fresh judges trained on these fakes",
}
"""Tier -> its detectors."""


@dataclass(frozen=True)
class TierTechnique:
    """AUC of a technique in one tier, with one-sided bounds at ``alpha``. All are None where it was not measured.

    ``flipped`` is true where the opposite sign of the scores would catch: the upper bound is below 1/2 - margin.
    """

    auc: float | None
    low: float | None
    high: float | None
    finding: Finding | None
    flipped: bool


@dataclass(frozen=True)
class TierPart:
    """The techniques of a tier that were attacked, or those that were not. The answer is None if none was measured."""

    answer: TierAnswer | None
    techniques: Mapping[str, TierTechnique]


@dataclass(frozen=True)
class Tier:
    """One verdict, split by whether the generator attacked the technique."""

    attacked: TierPart
    not_attacked: TierPart


@dataclass(frozen=True)
class Tiers:
    """The three verdicts, as ``verdict.json`` has them."""

    deployed: Tier
    transferred: Tier
    adaptive: Tier


def tiers(runs: Sequence[FinishedRun], findings: Sequence[TechniqueFinding]) -> Tiers:
    """Return the three verdicts on one run, or on the runs of one condition. People have no part in them.

    Args:
        runs: the runs.
        findings: those of their fresh judges.
    """
    listed = [each for each in findings if not each.people]
    terms = runs[0].declared.answer

    def measured(
        measure: Callable[[Sequence[FinishedRun], str], Estimate | None],
    ) -> dict[str, tuple[Estimate, Finding]]:
        """Return technique -> its AUC measured so, and its finding. Techniques without such an AUC are left out."""
        estimates = {each.technique: measure(runs, each.technique) for each in listed}
        aucs = {name: auc for name, auc in estimates.items() if auc is not None}
        found = findings_of_estimates(aucs, terms.margin, terms.alpha)
        return {name: (auc, found[name]) for name, auc in aucs.items()}

    return Tiers(
        deployed=_split(runs, listed, measured(deployed_estimate)),
        transferred=_split(runs, listed, measured(transferred_estimate)),
        adaptive=_split(runs, listed, {each.technique: (each.estimate, each.finding) for each in listed}),
    )


def deployed_estimate(runs: Sequence[FinishedRun], technique: str) -> Estimate | None:
    """Return the AUC of the detectors that the last response was given, on the fakes of the round that it led to.

    They are frozen: none has learned from these fakes. None where a run has no such test, as without any response.
    """
    tests = [_frozen(run, technique) for run in runs]
    if not all(tests):
        return None
    return estimate([run.influences(test, bank) for bank, (run, test) in enumerate(zip(runs, tests, strict=True))])


def _frozen(run: FinishedRun, technique: str) -> list[ScoreRecord]:
    last = run.declared.last_round
    return [
        record
        for record in run.of_kind(ScoreRecord)
        if (record.technique, record.regime) == (technique, "frozen")
        and (record.generator_round, record.detector_round) == (last, last - 1)
    ]


def _split(
    runs: Sequence[FinishedRun],
    listed: Sequence[TechniqueFinding],
    measured: Mapping[str, tuple[Estimate | None, Finding]],
) -> Tier:
    """Return a tier. A technique counts as attacked if a response of any run, or of its origin, had access to it."""
    terms = runs[0].declared.answer
    attacked: dict[str, TierTechnique] = {}
    others: dict[str, TierTechnique] = {}
    for each in listed if measured else ():
        estimated, finding = measured.get(each.technique, (None, None))
        part = attacked if any(run.has_attacked(each.technique) for run in runs) else others
        part[each.technique] = _of_technique(estimated, finding, terms.margin, terms.alpha)
    return Tier(TierPart(_answer(attacked), attacked), TierPart(_answer(others), others))


def _of_technique(auc: Estimate | None, finding: Finding | None, margin: float, alpha: float) -> TierTechnique:
    if auc is None:
        return TierTechnique(None, None, None, finding, flipped=False)
    return TierTechnique(*auc.interval(alpha).clipped(), finding, flipped=auc.high(alpha) < 0.5 - margin)


def _answer(part: Mapping[str, TierTechnique]) -> TierAnswer | None:
    """Caught if one catches, passes if all are passed, else undecided. None where none was measured."""
    found = [each.finding for each in part.values()]
    if all(finding is None for finding in found):
        return None
    if "caught" in found:
        return "caught"
    return "passes" if set(found) == {"passes"} else "undecided"


def tier_rows(tiers: Tiers) -> list[tuple[str, str, str, str]]:
    """Return a row for each tier: its name, its detectors, and in words what attacked and other techniques found."""
    rows = []
    for name, detectors in TIERS.items():
        tier: Tier = getattr(tiers, name)
        measured = bool(tier.attacked.techniques or tier.not_attacked.techniques)
        words = [_part_in_words(part) if measured else "not measured" for part in (tier.attacked, tier.not_attacked)]
        rows.append((name, detectors, *words))
    return rows


def _part_in_words(part: TierPart) -> str:
    """Return words such as "caught by 2 of 3, cnn 0.913". Of the techniques that decide, they name the highest AUC."""
    measured = {name: each for name, each in part.techniques.items() if each.auc is not None}
    if not measured:
        return "not measured" if part.techniques else "no such technique"
    if part.answer == "caught":
        measured = {name: each for name, each in measured.items() if each.finding == "caught"}
    highest = max(measured, key=lambda name: measured[name].auc or 0.0)
    passed = sum(each.finding == "passes" for each in part.techniques.values())
    counts = {
        "caught": f"caught by {len(measured)} of {len(part.techniques)}",
        "passes": f"passes {passed} of {len(part.techniques)}",
        "undecided": f"undecided, passes {passed} of {len(part.techniques)}",
    }
    return f"{counts[part.answer or 'undecided']}, {highest} {measured[highest].auc:.3f}"


def tiers_sentence(tiers: Tiers) -> str:
    """Return the answers of the three verdicts in one sentence, those of attacked techniques first."""

    def words(tier: Tier) -> str:
        parts = (tier.attacked, tier.not_attacked)
        if not any(part.answer for part in parts):
            return "not measured"
        return " / ".join((part.answer or "undecided") if part.techniques else "none" for part in parts)

    listed = "; ".join(f"{name} {words(getattr(tiers, name))}" for name in TIERS)
    return f"Three verdicts (techniques attacked / not attacked): {listed}."


def flipped_in_words(tiers: Tiers) -> str:
    """Return which detectors would catch with the opposite sign, "" if none would. Fresh judges are unfit instead."""
    named = [
        f"{technique} ({name}, {each.auc:.3f})"
        for name in ("deployed", "transferred")
        for part in (getattr(tiers, name).attacked, getattr(tiers, name).not_attacked)
        for technique, each in part.techniques.items()
        if each.flipped
    ]
    return f"Far below 1/2, so that the opposite sign would catch: {', '.join(named)}." if named else ""
