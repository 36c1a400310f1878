"""Step 4 at the last round, margin: what detection withstands, where an AUC pinned at 1 says nothing more."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from statistics import fmean

from arena.config.schema import BAG
from arena.core.progress import Progress
from arena.imaging.degrade import degraded
from arena.imaging.ladders import LADDERS, THRESHOLD, Degradation
from arena.metrics.auc import summarise
from arena.race.judging import Case, Judgement, judge_case
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.schema import MarginRecord, Record, ScoreRecord
from arena.records.store import RecordBook, write_scores

PINNED = 0.99
"""Validation AUC of the strongest technique from which on its margin is measured."""
JUDGE_SEED = 0


def margin(race: Race, book: RecordBook, progress: Progress, round_index: int, player: str) -> PhaseOutput:
    """Degrade reals and fakes alike, and let fresh judges learn and test on what is left.

    The rungs of the degradation's ladder are bisected for the one where the strongest technique falls below
    ``THRESHOLD``; all techniques judge every rung that is tried. Which is strongest, and where it falls, is read on
    validation images. Nothing is done while even the strongest is not pinned: its AUC says more.
    """
    strongest = strongest_on_validation(book.records, round_index)
    if strongest is None or strongest[1] < PINNED:
        return PhaseOutput([], 0)
    kind: Degradation = next(kind for kind in LADDERS if kind == player)
    judged = partial(_judge, race, progress, kind, round_index)
    progress.expect(race.judge.folds * race.judge.images * len(LADDERS[kind].levels).bit_length())
    records: list[Record] = []
    images = 0

    def fallen(level: float) -> bool:
        nonlocal images
        found, shown = judged(level)
        images += shown
        records.extend(_record(race, round_index, kind, level, name, judgement) for name, judgement in found.items())
        return found[strongest[0]].validation_auc < THRESHOLD

    bisect_right(LADDERS[kind].levels, False, key=fallen)
    return PhaseOutput(records, images)


def strongest_on_validation(records: Sequence[Record], round_index: int) -> tuple[str, float] | None:
    """The technique of single images whose fresh judges of a round are best on validation, and their mean AUC there."""
    aucs: dict[str, list[float]] = {}
    for record in records:
        if not isinstance(record, ScoreRecord) or record.validation_auc is None or record.technique == BAG:
            continue
        if (record.regime, record.generator_round) == ("fresh", round_index):
            aucs.setdefault(record.technique, []).append(record.validation_auc)
    means = {technique: fmean(found) for technique, found in aucs.items()}
    return max(means.items(), key=lambda item: item[1], default=None)


def _judge(
    race: Race, progress: Progress, kind: Degradation, round_index: int, level: float
) -> tuple[dict[str, Judgement], int]:
    """One judge seed of every technique, at one level."""
    seed = race.seed_of("degrade", round_index, kind)
    change = partial(degraded, kind=kind, level=level, levels=race.data.levels, seed=seed)
    case = Case.of(race, race.forged(round_index), round_index, change=change)
    found = judge_case(
        race, progress, case, list(race.members), race.seed_of("judge", round_index), JUDGE_SEED, share=1.0
    )
    return {name: its for name, its in found.of.items() if name != BAG}, found.images


def _record(
    race: Race, round_index: int, kind: Degradation, level: float, technique: str, judgement: Judgement
) -> MarginRecord:
    summary = summarise(judgement.test, race.margin)
    name = f"{technique}_{kind}_{level:g}_g{round_index:02d}_j{JUDGE_SEED}"
    return MarginRecord(
        round=round_index,
        seed=race.seed,
        technique=technique,
        degradation=kind,
        level=level,
        judge_seed=JUDGE_SEED,
        auc=summary.auc,
        auc_low=summary.auc_low,
        auc_high=summary.auc_high,
        scores=write_scores(race.run, name, judgement.test),
    )
