"""Step 0, calibrate: the instrument before the race, on controls whose outcome is known (rules of evidence 4 and 7)."""

from statistics import NormalDist, fmean

from arena.arena import Arena
from arena.bank import Bank
from arena.config import STACK
from arena.generators.artefacts import Artefact
from arena.generators.controls import Oracle, Planted
from arena.generators.generator import Generator
from arena.metrics.roc import Summary, summarise
from arena.phases.crossfit import Judgement, judge_stack, judge_technique
from arena.phases.judge import fitness
from arena.phases.phase import Finding
from arena.progress import Progress
from arena.records import ControlRecord, Record, RecordBook, write_scores

# Joint over a battery: a true null is called broken once in a thousand races.
JOINT_CONFIDENCE = 0.999


def calibrate(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Judge real images as if they were fake, and real images with a faint artefact, by one technique.

    The *oracle* must come out at AUC 1/2; what it does come out at is the floor of the strongest technique. The
    *planted* artefact of the technique's own family, at the data's amplitude, must be caught, or the judge is unfit.
    """
    progress.expect((arena.judge.seeds + len(artefacts(arena))) * arena.judge.folds * arena.judge.images)
    oracle = [_examine(arena, progress, "oracle", Oracle(**arena.shape), player, s) for s in range(arena.judge.seeds)]
    records: list[Record] = [_oracle(arena, player, oracle)]
    images = sum(judgement.images for judgement in oracle)
    for kind in artefacts(arena):
        planted = Planted(**arena.shape, kind=kind, amplitude=arena.data.planted_amplitude)
        judgement = _examine(arena, progress, f"planted_{kind}", planted, player, 0)
        images += judgement.images
        if kind == own_artefact(arena, player):
            record = fitness(arena, judgement, 0, player, 0, f"planted_{kind}", kind, share=1.0)
            records += [record, _planted(arena, player, summarise(judgement.test, arena.margin))]
        else:  # kept for the stack, whose own artefact this may be
            write_scores(arena.run, f"{player}_planted_{kind}_j0", judgement.test)
    return Finding(records, images)


def artefacts(arena: Arena) -> list[Artefact]:
    """The artefacts that are some technique's own, each once."""
    return sorted({detector.artefact for detector in arena.examples_of.values()})


def own_artefact(arena: Arena, technique: str) -> Artefact:
    """The artefact of a technique's family; the stack's is its first member's."""
    return arena.examples_of[next(iter(arena.members)) if technique == STACK else technique].artefact


def _examine(
    arena: Arena, progress: Progress, name: str, control: Generator, technique: str, judge_seed: int
) -> Judgement:
    """One judgement of a control's bank, forged anew: it is drawn from the reals in no time."""
    if technique == STACK:
        return judge_stack(arena, name, judge_seed)
    forged = control.forge(arena.bank.counts, arena.seed_of("forge", player="control"), arena.generator_reals)
    bank, seed = Bank.of(forged, arena.data.levels), arena.seed_of("calibrate", player=name)
    return judge_technique(arena, progress, name, bank, technique, seed, judge_seed, share=1.0)


def _oracle(arena: Arena, technique: str, judgements: list[Judgement]) -> ControlRecord:
    """The oracle's AUC, averaged over judge seeds; the interval is that of one seed, since all share the test."""
    for judge_seed, judgement in enumerate(judgements):
        write_scores(arena.run, f"{technique}_oracle_j{judge_seed}", judgement.test)
    summaries = [summarise(judgement.test, arena.margin) for judgement in judgements]
    found = fmean(summary.auc for summary in summaries)
    error = max(summary.auc_high - summary.auc_low for summary in summaries) / (2 * NormalDist().inv_cdf(0.975))
    bound = NormalDist().inv_cdf(1 - (1 - JOINT_CONFIDENCE) / (2 * len(arena.techniques))) * error
    return _control(
        arena, "oracle", technique, "AUC 1/2", found, found - bound, found + bound, abs(found - 0.5) <= bound
    )


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
