"""Step 4: train fresh judges from scratch, never attacked, and degrade images until the best of them fails."""

import functools
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial

from arena.answer.findings import strongest
from arena.config.schema import BAG
from arena.core.degradations import LADDERS, THRESHOLD, Degradation
from arena.core.progress import Progress
from arena.imaging.evidence import degraded
from arena.metrics.auc import summarise
from arena.race.checkpoints import load_bank
from arena.race.judging import Case, fitness_record, judge_case, score_record
from arena.race.race import PhaseOutput, Race
from arena.records.schema import MarginRecord, Record, ScoreRecord
from arena.records.store import write_scores

HALF = 0.5
PINNED = 0.99
"""Validation AUC of the strongest technique from which its margin is measured."""
MARGIN_SEED = 0
"""Number of the judges of degraded images."""


def judges(race: Race) -> list[str]:
    """Return the players of this phase. Each judge seed has a fresh judge of every technique."""
    return [f"seed {seed}" for seed in range(race.judge.seeds)]


def judge(race: Race, round_index: int, player: str, progress: Progress) -> PhaseOutput:
    """Judge G_round's fakes with the judges of one seed. The verdict reads these "fresh" scores alone.

    At the last round the same judges are trained once more on half of their data and images. If the whole gains over
    the half by more than its error, a larger judge would see more, which forbids "passes" (rule of evidence 4).
    """
    judge_seed, last = judges(race).index(player), round_index == race.rounds
    case, seed, members = case_of(race, round_index), race.seed_of("judge", round_index), list(race.members)
    progress.expect(race.judge.folds * race.judge.images * (1 + HALF * last))
    whole, images = judge_case(race, case, members, seed, judge_seed, progress=progress)
    records: list[Record] = [
        score_record(
            race, judgement.test, technique, "fresh", round_index, round_index, judge_seed, judgement.validation_auc
        )
        for technique, judgement in whole.items()
    ]
    if last:
        half, more = judge_case(race, case, members, seed, judge_seed, share=HALF, progress=progress)
        images += more
        test = f"half_g{round_index:02d}"
        records += [
            fitness_record(
                race, judgement.test, technique, test, round_index=round_index, judge_seed=judge_seed, share=HALF
            )
            for technique, judgement in half.items()
        ]
    return PhaseOutput(records, images)


@functools.lru_cache(maxsize=1)  # the judges of all seeds of a round judge the same images
def case_of(race: Race, round_index: int) -> Case:
    """Return the judge reals beside a round's fakes."""
    return Case.of(race, load_bank(race, round_index), round_index)


def margin(race: Race, round_index: int, player: str, records: Sequence[Record], progress: Progress) -> PhaseOutput:
    """Degrade reals and fakes alike, and train and test fresh judges on them.

    A bisection over the degradation's ladder finds the level at which the validation AUC of the strongest technique
    falls below ``THRESHOLD``. All techniques judge every level that is tried. Validation images also decide which is
    strongest. Nothing is done if its AUC is below ``PINNED``: the AUC then says more than a margin.
    """
    best = strongest(validation_aucs(records, round_index))
    if best is None or best[1] < PINNED:
        return PhaseOutput([], 0)
    kind: Degradation = next(kind for kind in LADDERS if kind == player)
    levels = LADDERS[kind].levels
    progress.expect(race.judge.folds * race.judge.images * len(levels).bit_length())
    change_seed, judges_seed = race.seed_of("degrade", round_index, kind), race.seed_of("judge", round_index)
    tried: list[Record] = []
    images = 0

    def fallen(level: float) -> bool:
        nonlocal images
        change = partial(degraded, kind=kind, level=level, levels=race.data.levels, seed=change_seed)
        case = Case.of(race, load_bank(race, round_index), round_index, change=change)
        judgements, trained = judge_case(race, case, list(race.members), judges_seed, MARGIN_SEED, progress=progress)
        images += trained
        for technique, judgement in judgements.items():
            if technique == BAG:
                continue
            name = f"{technique}_{kind}_{level:g}_g{round_index:02d}_j{MARGIN_SEED}"
            tried.append(
                MarginRecord(
                    round=round_index,
                    seed=race.seed,
                    technique=technique,
                    degradation=kind,
                    level=level,
                    judge_seed=MARGIN_SEED,
                    scores=write_scores(race.run, name, judgement.test),
                    **summarise(judgement.test, race.margin).as_fields(),
                )
            )
        return judgements[best[0]].validation_auc < THRESHOLD

    bisect_right(levels, False, key=fallen)
    return PhaseOutput(tried, images)


def validation_aucs(records: Sequence[Record], round_index: int) -> dict[str, list[float | None]]:
    """Return the validation AUC of a round's fresh judges, by technique of single images."""
    aucs: dict[str, list[float | None]] = {}
    for record in records:
        if not isinstance(record, ScoreRecord) or record.technique == BAG:
            continue
        if (record.regime, record.generator_round) == ("fresh", round_index):
            aucs.setdefault(record.technique, []).append(record.validation_auc)
    return aucs
