"""Step 4 at the last round, margin: what detection withstands, where an AUC pinned at 1 says nothing more."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from statistics import fmean

from arena.arena import Arena
from arena.config import BAG
from arena.degradation import LADDERS, THRESHOLD, Degradation
from arena.degrade import degraded
from arena.metrics.roc import summarise
from arena.phases.case import Case
from arena.phases.crossfit import Judgement, judge_case
from arena.phases.phase import Finding
from arena.progress import Progress
from arena.records import MarginRecord, Record, RecordBook, ScoreRecord, write_scores

PINNED = 0.99
"""Validation AUC of the strongest technique from which on its margin is measured."""
JUDGE_SEED = 0


def margin(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Degrade reals and fakes alike, and let fresh judges learn and test on what is left.

    The rungs of the degradation's ladder are bisected for the one where the strongest technique falls below
    ``THRESHOLD``; all techniques judge every rung that is tried. Which is strongest, and where it falls, is read on
    validation images. Nothing is done while even the strongest is not pinned: its AUC says more.
    """
    strongest = strongest_on_validation(book.records, round)
    if strongest is None or strongest[1] < PINNED:
        return Finding([], 0)
    kind: Degradation = next(kind for kind in LADDERS if kind == player)
    judged = partial(_judge, arena, progress, kind, round)
    progress.expect(arena.judge.folds * arena.judge.images * len(LADDERS[kind].levels).bit_length())
    records: list[Record] = []
    images = 0

    def fallen(level: float) -> bool:
        nonlocal images
        found, shown = judged(level)
        images += shown
        records.extend(_record(arena, round, kind, level, name, judgement) for name, judgement in found.items())
        return found[strongest[0]].validation_auc < THRESHOLD

    bisect_right(LADDERS[kind].levels, False, key=fallen)
    return Finding(records, images)


def strongest_on_validation(records: Sequence[Record], round: int) -> tuple[str, float] | None:
    """The technique of single images whose fresh judges of a round are best on validation, and their mean AUC there."""
    aucs: dict[str, list[float]] = {}
    for record in records:
        if not isinstance(record, ScoreRecord) or record.validation_auc is None or record.technique == BAG:
            continue
        if (record.regime, record.generator_round) == ("fresh", round):
            aucs.setdefault(record.technique, []).append(record.validation_auc)
    means = {technique: fmean(found) for technique, found in aucs.items()}
    return max(means.items(), key=lambda item: item[1], default=None)


def _judge(
    arena: Arena, progress: Progress, kind: Degradation, round: int, level: float
) -> tuple[dict[str, Judgement], int]:
    """One judge seed of every technique, at one level."""
    seed = arena.seed_of("degrade", round, kind)
    change = partial(degraded, kind=kind, level=level, levels=arena.data.levels, seed=seed)
    case = Case.of(arena, arena.forged(round), round, change=change)
    found = judge_case(arena, progress, case, list(arena.members), arena.seed_of("judge", round), JUDGE_SEED, share=1.0)
    return {name: its for name, its in found.of.items() if name != BAG}, found.images


def _record(
    arena: Arena, round: int, kind: Degradation, level: float, technique: str, judgement: Judgement
) -> MarginRecord:
    summary = summarise(judgement.test, arena.margin)
    name = f"{technique}_{kind}_{level:g}_g{round:02d}_j{JUDGE_SEED}"
    return MarginRecord(
        round=round,
        seed=arena.seed,
        technique=technique,
        degradation=kind,
        level=level,
        judge_seed=JUDGE_SEED,
        auc=summary.auc,
        auc_low=summary.auc_low,
        auc_high=summary.auc_high,
        scores=write_scores(arena.run, name, judgement.test),
    )
