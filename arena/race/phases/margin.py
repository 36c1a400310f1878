"""Step 4 at the last round, margin: degrade images until the strongest technique no longer detects the fakes."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial

from arena.answer.findings import strongest
from arena.config.schema import BAG
from arena.core.degradations import LADDERS, THRESHOLD, Degradation
from arena.core.progress import Progress
from arena.imaging.degrade import degraded
from arena.metrics.auc import summarise
from arena.race.checkpoints import load_bank
from arena.race.judging import Case, Judgement, judge_case
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.schema import MarginRecord, Record, ScoreRecord
from arena.records.store import write_scores

PINNED = 0.99
"""Validation AUC of the strongest technique from which its margin is measured."""
JUDGE_SEED = 0


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
    tried: list[Record] = []
    images = 0

    def fallen(level: float) -> bool:
        nonlocal images
        seed = race.seed_of("degrade", round_index, kind)
        change = partial(degraded, kind=kind, level=level, levels=race.data.levels, seed=seed)
        case = Case.of(race, load_bank(race, round_index), round_index, change=change)
        judges = race.seed_of("judge", round_index)
        judgements, trained = judge_case(race, case, list(race.members), judges, JUDGE_SEED, progress=progress)
        images += trained
        tried.extend(
            _record(race, round_index, kind, level, technique, judgement)
            for technique, judgement in judgements.items()
            if technique != BAG
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


def _record(
    race: Race, round_index: int, kind: Degradation, level: float, technique: str, judgement: Judgement
) -> MarginRecord:
    name = f"{technique}_{kind}_{level:g}_g{round_index:02d}_j{JUDGE_SEED}"
    return MarginRecord(
        round=round_index,
        seed=race.seed,
        technique=technique,
        degradation=kind,
        level=level,
        judge_seed=JUDGE_SEED,
        scores=write_scores(race.run, name, judgement.test),
        **summarise(judgement.test, race.margin).as_fields(),
    )
