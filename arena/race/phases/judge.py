"""Step 4, judge: train fresh detectors from scratch, cross-fitted and never attacked. Regime "fresh"."""

import functools

from arena.core.progress import Progress
from arena.race.checkpoints import load_bank
from arena.race.evaluation import fitness_record, score_record
from arena.race.judging import Case, judge_case
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.schema import Record

HALF = 0.5


def judges(race: Race) -> list[str]:
    """Return the players of this phase. Each judge seed has a fresh judge of every technique."""
    return [f"seed {seed}" for seed in range(race.judge.seeds)]


def judge(race: Race, round_index: int, player: str, progress: Progress) -> PhaseOutput:
    """Judge G_round's fakes with the judges of one seed. The verdict reads these scores alone.

    At the last round the same judges are trained once more on half of their data and images. If the whole gains over
    the half by more than its error, a larger judge would see more, which forbids "passes" (rule of evidence 4).
    """
    judge_seed, last = judges(race).index(player), round_index == race.rounds
    case, seed, members = case_of(race, round_index), race.seed_of("judge", round_index), list(race.members)
    progress.expect(race.judge.folds * race.judge.images * (1 + HALF * last))
    whole, images = judge_case(race, case, members, seed, judge_seed, progress=progress)
    records: list[Record] = [
        score_record(
            race,
            judgement.test,
            technique,
            "fresh",
            round_index,
            round_index,
            judge_seed=judge_seed,
            validation_auc=judgement.validation_auc,
        )
        for technique, judgement in whole.items()
    ]
    if last:
        half, more = judge_case(race, case, members, seed, judge_seed, share=HALF, progress=progress)
        images += more
        records += [
            fitness_record(race, judgement, technique, round_index=round_index, judge_seed=judge_seed, share=HALF)
            for technique, judgement in half.items()
        ]
    return PhaseOutput(records, images)


@functools.lru_cache(maxsize=1)  # the judges of all seeds of a round judge the same images
def case_of(race: Race, round_index: int) -> Case:
    """Return the judge reals beside a round's fakes."""
    return Case.of(race, load_bank(race, round_index), round_index)
