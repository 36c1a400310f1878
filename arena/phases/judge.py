"""Step 4, judge: fresh detectors from scratch, several seeds, cross-fitted, never attacked. Regime "fresh"."""

import functools

from arena.arena import Arena
from arena.metrics.roc import summarise
from arena.phases.case import Case
from arena.phases.crossfit import Judgement, judge_case
from arena.phases.phase import Finding
from arena.phases.testing import score_record
from arena.progress import Progress
from arena.records import FitnessRecord, Record, RecordBook, write_scores

HALF = 0.5


def judges(arena: Arena) -> list[str]:
    """The players of this phase: the judges of each seed, a fresh one of every technique."""
    return [f"seed {seed}" for seed in range(arena.judge.seeds)]


def judge(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Let the judges of one seed judge G_round's fakes: the only scores the verdict reads.

    At the last round the same judges are trained once more on half of their data and images: a gain from half to whole
    that is clear of its error says that a larger judge would see more, and forbids "passes" (rule of evidence 4).
    """
    judge_seed, last = judges(arena).index(player), round == arena.rounds
    case, seed = case_of(arena, round), arena.seed_of("judge", round)
    progress.expect(arena.judge.folds * arena.judge.images * (1 + HALF * last))
    whole = judge_case(arena, progress, case, list(arena.members), seed, judge_seed, share=1.0)
    records: list[Record] = [
        score_record(
            arena,
            judgement.test,
            round=round,
            technique=technique,
            regime="fresh",
            generator_round=round,
            detector_round=round,
            judge_seed=judge_seed,
            validation_auc=judgement.validation_auc,
        )
        for technique, judgement in whole.of.items()
    ]
    if not last:
        return Finding(records, whole.images)
    half = judge_case(arena, progress, case, list(arena.members), seed, judge_seed, share=HALF)
    records += [
        fitness(arena, judgement, round, technique, judge_seed, f"half_g{round:02d}", None, HALF)
        for technique, judgement in half.of.items()
    ]
    return Finding(records, whole.images + half.images)


@functools.lru_cache(maxsize=1)  # the judges of all seeds of a round judge the same images
def case_of(arena: Arena, round: int) -> Case:
    """The judge reals and a round's fakes."""
    return Case.of(arena, arena.forged(round), round)


def fitness(
    arena: Arena,
    judgement: Judgement,
    round: int,
    technique: str,
    judge_seed: int,
    name: str,
    artefact: str | None,
    share: float,
) -> FitnessRecord:
    """The record of a judge put to the test itself."""
    summary = summarise(judgement.test, arena.margin)
    return FitnessRecord(
        round=round,
        seed=arena.seed,
        technique=technique,
        artefact=artefact,
        amplitude=None if artefact is None else arena.data.planted_amplitude,
        share=share,
        judge_seed=judge_seed,
        auc=summary.auc,
        auc_low=summary.auc_low,
        auc_high=summary.auc_high,
        scores=write_scores(arena.run, f"{technique}_{name}_j{judge_seed}", judgement.test),
    )
