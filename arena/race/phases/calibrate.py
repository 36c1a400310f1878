"""Step 0, calibrate: the instrument before the race, on controls whose outcome is known (rules of evidence 4 and 7)."""

from statistics import NormalDist, fmean

from arena.config.schema import STACK
from arena.core.progress import Progress
from arena.detectors.base import GanAwareDetector
from arena.generators.base import Generator
from arena.generators.controls import Artefact, Oracle, Planted
from arena.metrics.auc import Summary, summarise
from arena.race.judging import Case, Judgement, judge_case
from arena.race.layout import Bank
from arena.race.phases.judge import fitness
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.schema import ControlRecord, Record, TechniqueRecord
from arena.records.store import RecordBook, write_scores

ORACLE = "oracle"
# Joint over a battery: a true null is called broken once in a thousand races.
JOINT_CONFIDENCE = 0.999


def controls(race: Race) -> list[str]:
    """The players of this phase: the oracle, and the artefacts that are some technique's own, each once."""
    return [ORACLE, *sorted({own_artefact(race, technique) for technique in race.techniques})]


def calibrate(race: Race, book: RecordBook, progress: Progress, round_index: int, player: str) -> PhaseOutput:
    """Judge real images as if they were fake, or real images with a faint artefact, by those whose own it is.

    The *oracle* must come out at AUC 1/2; what it does come out at is the floor of the strongest technique. The
    *planted* artefact of a technique's own family, at the data's amplitude, must be caught, or its judge is unfit.
    """
    if player == ORACLE:
        case = _case(race, Oracle(**race.shape))
        progress.expect(race.judge.seeds * race.judge.folds * race.judge.images)
        seed = race.seed_of("calibrate", player=ORACLE)
        found = [
            judge_case(race, progress, case, list(race.members), seed, judge_seed, share=1.0)
            for judge_seed in range(race.judge.seeds)
        ]
        records: list[Record] = [*technique_records(race)]
        records += [_oracle(race, name, [judgements.of[name] for judgements in found]) for name in race.techniques]
        return PhaseOutput(records, sum(judgements.images for judgements in found))
    kind: Artefact = next(detector.artefact for detector in race.examples_of.values() if detector.artefact == player)
    case = _case(race, Planted(**race.shape, kind=kind, amplitude=race.data.planted_amplitude))
    own = [technique for technique in race.techniques if own_artefact(race, technique) == kind]
    asked = list(race.members) if STACK in own else own  # the stack hears every member
    progress.expect(race.judge.folds * race.judge.images)
    seed = race.seed_of("calibrate", player=f"planted_{kind}")
    judgements = judge_case(race, progress, case, asked, seed, 0, share=1.0)
    records = []
    for technique in own:
        its = judgements.of[technique]
        records.append(fitness(race, its, 0, technique, 0, f"planted_{kind}", kind, share=1.0))
        records.append(_planted(race, technique, summarise(its.test, race.margin)))
    return PhaseOutput(records, judgements.images)


def technique_records(race: Race) -> list[TechniqueRecord]:
    """What each technique is, and why others were left out."""
    present = [
        TechniqueRecord(
            round=0,
            seed=race.seed,
            technique=technique,
            reason="",
            artefact=detector.artefact,
            differentiable=detector.differentiable,
            needs_fakes=detector.needs_fakes,
            gan_aware=isinstance(detector, GanAwareDetector),
            parameters=sum(parameter.numel() for parameter in detector.parameters() if parameter.requires_grad),
        )
        for technique, detector in race.examples_of.items()
    ]
    absent = [
        TechniqueRecord(
            round=0,
            seed=race.seed,
            technique=technique,
            reason=reason,
            artefact=None,
            differentiable=None,
            needs_fakes=None,
            gan_aware=None,
            parameters=None,
        )
        for technique, reason in race.left_out.items()
    ]
    return present + absent


def own_artefact(race: Race, technique: str) -> Artefact:
    """The artefact of a technique's family; the stack's and the bag's is their first member's."""
    return race.examples_of[technique if technique in race.members else next(iter(race.members))].artefact


def _case(race: Race, control: Generator) -> Case:
    """A control's bank, forged anew: it is drawn from the reals in no time."""
    forged = control.forge(race.bank.counts, race.seed_of("forge", player="control"), race.generator_reals)
    return Case.of(race, Bank.of(forged, race.data.levels), round_index=0, control=True)


def _oracle(race: Race, technique: str, judgements: list[Judgement]) -> ControlRecord:
    """The oracle's AUC, averaged over judge seeds; the 95% interval is that of one seed, since all share the test.

    It holds unless 1/2 is farther than the joint bound of the battery allows.
    """
    for judge_seed, judgement in enumerate(judgements):
        write_scores(race.run, f"{technique}_oracle_j{judge_seed}", judgement.test)
    summaries = [summarise(judgement.test, race.margin) for judgement in judgements]
    found = fmean(summary.auc for summary in summaries)
    half = max(summary.auc_high - summary.auc_low for summary in summaries) / 2
    joint = NormalDist().inv_cdf(1 - (1 - JOINT_CONFIDENCE) / (2 * len(race.techniques)))
    holds = abs(found - 0.5) <= half * joint / NormalDist().inv_cdf(0.975)
    return _control(race, ORACLE, technique, "AUC 1/2", found, found - half, found + half, holds)


def _planted(race: Race, technique: str, summary: Summary) -> ControlRecord:
    """Whether the planted artefact was caught."""
    caught = summary.auc_low > 0.5 + race.margin
    return _control(
        race,
        "planted",
        technique,
        f"AUC above {0.5 + race.margin:g}",
        summary.auc,
        summary.auc_low,
        summary.auc_high,
        caught,
    )


def _control(
    race: Race, control: str, technique: str, expected: str, found: float, low: float, high: float, holds: bool
) -> ControlRecord:
    return ControlRecord(
        round=0,
        seed=race.seed,
        control=control,
        technique=technique,
        expected=expected,
        found=found,
        low=low,
        high=high,
        holds=holds,
    )
