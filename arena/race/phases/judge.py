"""Step 4, judge: fresh detectors from scratch, several seeds, cross-fitted, never attacked. Regime "fresh"."""

import functools

from arena.core.progress import Progress
from arena.metrics.auc import summarise
from arena.race.judging import Case, Judgement, judge_case, score_record
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.schema import FitnessRecord, Record
from arena.records.store import RecordBook, write_scores

HALF = 0.5


def judges(race: Race) -> list[str]:
    """The players of this phase: the judges of each seed, a fresh one of every technique."""
    return [f"seed {seed}" for seed in range(race.judge.seeds)]


def judge(race: Race, book: RecordBook, progress: Progress, round_index: int, player: str) -> PhaseOutput:
    """Let the judges of one seed judge G_round's fakes: the only scores the verdict reads.

    At the last round the same judges are trained once more on half of their data and images: a gain from half to whole
    that is clear of its error says that a larger judge would see more, and forbids "passes" (rule of evidence 4).
    """
    judge_seed, last = judges(race).index(player), round_index == race.rounds
    case, seed = case_of(race, round_index), race.seed_of("judge", round_index)
    progress.expect(race.judge.folds * race.judge.images * (1 + HALF * last))
    whole = judge_case(race, progress, case, list(race.members), seed, judge_seed, share=1.0)
    records: list[Record] = [
        score_record(
            race,
            judgement.test,
            round_index=round_index,
            technique=technique,
            regime="fresh",
            generator_round=round_index,
            detector_round=round_index,
            judge_seed=judge_seed,
            validation_auc=judgement.validation_auc,
        )
        for technique, judgement in whole.of.items()
    ]
    if not last:
        return PhaseOutput(records, whole.images)
    half = judge_case(race, progress, case, list(race.members), seed, judge_seed, share=HALF)
    records += [
        fitness(race, judgement, round_index, technique, judge_seed, f"half_g{round_index:02d}", None, HALF)
        for technique, judgement in half.of.items()
    ]
    return PhaseOutput(records, whole.images + half.images)


@functools.lru_cache(maxsize=1)  # the judges of all seeds of a round judge the same images
def case_of(race: Race, round_index: int) -> Case:
    """The judge reals and a round's fakes."""
    return Case.of(race, race.forged(round_index), round_index)


def fitness(
    race: Race,
    judgement: Judgement,
    round_index: int,
    technique: str,
    judge_seed: int,
    name: str,
    artefact: str | None,
    share: float,
) -> FitnessRecord:
    """The record of a judge put to the test itself."""
    summary = summarise(judgement.test, race.margin)
    return FitnessRecord(
        round=round_index,
        seed=race.seed,
        technique=technique,
        artefact=artefact,
        amplitude=None if artefact is None else race.data.planted_amplitude,
        share=share,
        judge_seed=judge_seed,
        auc=summary.auc,
        auc_low=summary.auc_low,
        auc_high=summary.auc_high,
        scores=write_scores(race.run, f"{technique}_{name}_j{judge_seed}", judgement.test),
    )
