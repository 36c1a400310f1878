"""Step 4, judge: fresh detectors from scratch, several seeds, cross-fitted, never attacked. Regime "fresh"."""

from arena.arena import Arena
from arena.config import STACK
from arena.metrics.roc import summarise
from arena.phases.crossfit import Judgement, judge_stack, judge_technique
from arena.phases.phase import Finding
from arena.phases.testing import score_record
from arena.progress import Progress
from arena.records import FitnessRecord, Record, RecordBook, write_scores

HALF = 0.5


def judge(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Judge G_round's fakes by one technique: the only scores the verdict reads.

    At the last round the same judges are trained once more on half of their data and images: a gain from half to whole
    that is clear of its error says that a larger judge would see more, and forbids "passes" (rule of evidence 4).
    """
    name = f"fresh_g{round:02d}_d{round:02d}"
    records: list[Record] = []
    images = 0
    last = round == arena.rounds
    progress.expect(arena.judge.seeds * arena.judge.folds * arena.judge.images * (1 + HALF * last))
    for judge_seed in range(arena.judge.seeds):
        judgement = examine(arena, progress, name, round, player, judge_seed, share=1.0)
        images += judgement.images
        records.append(
            score_record(
                arena,
                judgement.test,
                round=round,
                technique=player,
                regime="fresh",
                generator_round=round,
                detector_round=round,
                judge_seed=judge_seed,
                validation_auc=judgement.validation_auc,
            )
        )
        if last:
            half = examine(arena, progress, f"half_g{round:02d}", round, player, judge_seed, share=HALF)
            images += half.images
            records.append(fitness(arena, half, round, player, judge_seed, f"half_g{round:02d}", None, HALF))
    return Finding(records, images)


def examine(
    arena: Arena, progress: Progress, name: str, round: int, technique: str, judge_seed: int, share: float
) -> Judgement:
    """One cross-fitted judgement of a technique, or of the stack over the judgements of its members."""
    if technique == STACK:
        return judge_stack(arena, name, judge_seed)
    bank, seed = arena.forged(round), arena.seed_of("judge", round)
    return judge_technique(arena, progress, name, bank, technique, seed, judge_seed, share)


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
