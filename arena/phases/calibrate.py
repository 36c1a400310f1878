"""Step 0, calibrate: the instrument before the race, on controls whose outcome is known (rules of evidence 4 and 7)."""

from statistics import NormalDist, fmean

from arena.arena import Arena
from arena.bank import Bank
from arena.config import STACK
from arena.detectors.detector import Insider
from arena.generators.artefacts import Artefact
from arena.generators.controls import Oracle, Planted
from arena.generators.generator import Generator
from arena.metrics.roc import Summary, summarise
from arena.phases.case import Case
from arena.phases.crossfit import Judgement, judge_case
from arena.phases.judge import fitness
from arena.phases.phase import Finding
from arena.progress import Progress
from arena.records import ControlRecord, Record, RecordBook, TechniqueRecord, write_scores

ORACLE = "oracle"
# Joint over a battery: a true null is called broken once in a thousand races.
JOINT_CONFIDENCE = 0.999


def controls(arena: Arena) -> list[str]:
    """The players of this phase: the oracle, and the artefacts that are some technique's own, each once."""
    return [ORACLE, *sorted({own_artefact(arena, technique) for technique in arena.techniques})]


def calibrate(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Judge real images as if they were fake, or real images with a faint artefact, by those whose own it is.

    The *oracle* must come out at AUC 1/2; what it does come out at is the floor of the strongest technique. The
    *planted* artefact of a technique's own family, at the data's amplitude, must be caught, or its judge is unfit.
    """
    if player == ORACLE:
        case = _case(arena, Oracle(**arena.shape))
        progress.expect(arena.judge.seeds * arena.judge.folds * arena.judge.images)
        seed = arena.seed_of("calibrate", player=ORACLE)
        found = [
            judge_case(arena, progress, case, list(arena.members), seed, judge_seed, share=1.0)
            for judge_seed in range(arena.judge.seeds)
        ]
        records: list[Record] = [*muster(arena)]
        records += [_oracle(arena, name, [judgements.of[name] for judgements in found]) for name in arena.techniques]
        return Finding(records, sum(judgements.images for judgements in found))
    kind: Artefact = next(detector.artefact for detector in arena.examples_of.values() if detector.artefact == player)
    case = _case(arena, Planted(**arena.shape, kind=kind, amplitude=arena.data.planted_amplitude))
    own = [technique for technique in arena.techniques if own_artefact(arena, technique) == kind]
    asked = list(arena.members) if STACK in own else own  # the stack hears every member
    progress.expect(arena.judge.folds * arena.judge.images)
    seed = arena.seed_of("calibrate", player=f"planted_{kind}")
    judgements = judge_case(arena, progress, case, asked, seed, 0, share=1.0)
    records = []
    for technique in own:
        its = judgements.of[technique]
        records.append(fitness(arena, its, 0, technique, 0, f"planted_{kind}", kind, share=1.0))
        records.append(_planted(arena, technique, summarise(its.test, arena.margin)))
    return Finding(records, judgements.images)


def muster(arena: Arena) -> list[TechniqueRecord]:
    """What each technique is, and why others were left out."""
    present = [
        TechniqueRecord(
            round=0,
            seed=arena.seed,
            technique=technique,
            reason="",
            artefact=detector.artefact,
            differentiable=detector.differentiable,
            needs_fakes=detector.needs_fakes,
            insider=isinstance(detector, Insider),
            parameters=sum(parameter.numel() for parameter in detector.parameters() if parameter.requires_grad),
        )
        for technique, detector in arena.examples_of.items()
    ]
    absent = [
        TechniqueRecord(
            round=0,
            seed=arena.seed,
            technique=technique,
            reason=reason,
            artefact=None,
            differentiable=None,
            needs_fakes=None,
            insider=None,
            parameters=None,
        )
        for technique, reason in arena.left_out.items()
    ]
    return present + absent


def own_artefact(arena: Arena, technique: str) -> Artefact:
    """The artefact of a technique's family; the stack's and the bag's is their first member's."""
    return arena.examples_of[technique if technique in arena.members else next(iter(arena.members))].artefact


def _case(arena: Arena, control: Generator) -> Case:
    """A control's bank, forged anew: it is drawn from the reals in no time."""
    forged = control.forge(arena.bank.counts, arena.seed_of("forge", player="control"), arena.generator_reals)
    return Case.of(arena, Bank.of(forged, arena.data.levels), round=0, control=True)


def _oracle(arena: Arena, technique: str, judgements: list[Judgement]) -> ControlRecord:
    """The oracle's AUC, averaged over judge seeds; the 95% interval is that of one seed, since all share the test.

    It holds unless 1/2 is farther than the joint bound of the battery allows.
    """
    for judge_seed, judgement in enumerate(judgements):
        write_scores(arena.run, f"{technique}_oracle_j{judge_seed}", judgement.test)
    summaries = [summarise(judgement.test, arena.margin) for judgement in judgements]
    found = fmean(summary.auc for summary in summaries)
    half = max(summary.auc_high - summary.auc_low for summary in summaries) / 2
    joint = NormalDist().inv_cdf(1 - (1 - JOINT_CONFIDENCE) / (2 * len(arena.techniques)))
    holds = abs(found - 0.5) <= half * joint / NormalDist().inv_cdf(0.975)
    return _control(arena, ORACLE, technique, "AUC 1/2", found, found - half, found + half, holds)


def _planted(arena: Arena, technique: str, summary: Summary) -> ControlRecord:
    """Whether the planted artefact was caught."""
    caught = summary.auc_low > 0.5 + arena.margin
    return _control(
        arena,
        "planted",
        technique,
        f"AUC above {0.5 + arena.margin:g}",
        summary.auc,
        summary.auc_low,
        summary.auc_high,
        caught,
    )


def _control(
    arena: Arena, control: str, technique: str, expected: str, found: float, low: float, high: float, holds: bool
) -> ControlRecord:
    return ControlRecord(
        round=0,
        seed=arena.seed,
        control=control,
        technique=technique,
        expected=expected,
        found=found,
        low=low,
        high=high,
        holds=holds,
    )
