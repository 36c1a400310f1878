"""Step 4: train fresh judges from scratch, never attacked, and degrade images until the best of them fails."""

import functools
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial

from arena.answer.estimate import estimate
from arena.answer.findings import is_saturated, strongest
from arena.answer.runs import read_influence
from arena.config.schema import BAG
from arena.core.degradations import LADDERS, THRESHOLD, Degradation
from arena.core.progress import Progress
from arena.imaging.evidence import degraded
from arena.metrics.auc import Influence, combine, summarise
from arena.race.case import Case, fakes_of_judges
from arena.race.checkpoints import load_bank
from arena.race.judging import fitness_record, judge_case, score_record
from arena.race.phases.calibrate import judge_equal_n
from arena.race.race import PhaseOutput, Race
from arena.records.schema import FitnessRecord, MarginRecord, Record, ScoreFile, ScoreRecord
from arena.records.store import write_scores

HALF = 0.5
PINNED = 0.99
"""Validation AUC of the strongest technique from which its margin is measured."""
MARGIN_SEED = 0
"""Number of the judges of degraded images."""


def budgets(race: Race, round_index: int) -> list[str]:
    """Return the players of this phase: the budgets of the judges. At the last round they may grow."""
    return [f"{race.judge.images * multiple} images" for multiple in multiples(race, round_index)]


def multiples(race: Race, round_index: int) -> list[int]:
    """Return the multiples of the budget that a round may try, the first of which every round has."""
    return [1, *(race.judge.multiples if round_index == race.rounds else [])]


def judge(race: Race, round_index: int, player: str, records: Sequence[Record], progress: Progress) -> PhaseOutput:
    """Judge G_round's fakes with the judges of every seed. The verdict reads these "fresh" scores alone.

    At the last round the same judges are trained once more on half of their data and images. If the whole may gain more
    than half of the margin over the half, a larger judge might see more. The budget then grows to the next multiple
    declared, and the verdict reads the largest one. A technique that may still gain cannot pass (rule of evidence 4).
    The first budget of the last round also judges as few fakes as the oracle has.
    """
    tried = multiples(race, round_index)
    step = budgets(race, round_index).index(player)
    multiple = tried[step]
    if step and not gaining(race, records, tried[step - 1] * race.judge.images):
        return PhaseOutput([], 0)
    last, budget = round_index == race.rounds, multiple * race.judge.images
    case, seed = case_of(race, round_index, multiple), race.seed_of("judge", round_index)
    seeds, members = range(race.judge.seeds), list(race.members)
    as_few = last and multiple == 1
    progress.expect(race.judge.folds * budget * (len(seeds) * (1 + HALF * last) + as_few))
    whole, images = judge_case(race, case, members, seed, seeds, images=budget, progress=progress)
    written: list[Record] = [
        score_record(
            race,
            judgement.test,
            technique,
            "fresh",
            round_index,
            round_index,
            judge_seed,
            judge_images=budget,
            validation_auc=judgement.validation_auc,
        )
        for judge_seed, judgements in enumerate(whole)
        for technique, judgement in judgements.items()
    ]
    if last:
        halves, more = judge_case(race, case, members, seed, seeds, images=budget, share=HALF, progress=progress)
        images += more
        written += [
            fitness_record(
                race,
                judgement.test,
                technique,
                f"half_g{round_index:02d}",
                round_index=round_index,
                judge_seed=judge_seed,
                judge_images=budget,
                share=HALF,
            )
            for judge_seed, judgements in enumerate(halves)
            for technique, judgement in judgements.items()
        ]
    if as_few:
        equal_n = judge_equal_n(race, round_index, progress)
        written, images = [*written, *equal_n.records], images + equal_n.images
    return PhaseOutput(written, images)


def gaining(race: Race, records: Sequence[Record], judge_images: int) -> list[str]:
    """Return the techniques whose judges of this budget may gain more than half of the margin from twice the data."""
    whole: dict[tuple[str, int | None], ScoreFile] = {}
    half: dict[tuple[str, int | None], ScoreFile] = {}
    for record in records:
        match record:
            case ScoreRecord(regime="fresh"):
                kept = whole
            case FitnessRecord(artefact=None):
                kept = half
            case _:
                continue
        if (record.round, record.judge_images) == (race.rounds, judge_images):
            kept[record.technique, record.judge_seed] = record.scores
    gains: dict[str, list[Influence]] = {}
    for technique, judge_seed in (judge for judge in whole if judge in half):
        pair = [read_influence(race.run, scores[technique, judge_seed]) for scores in (whole, half)]
        gains.setdefault(technique, []).append(combine(pair, (1.0, -1.0)))
    return [name for name, each in gains.items() if not is_saturated(estimate([each]), race.margin, race.alpha)]


@functools.lru_cache(maxsize=1)  # whole and half judges judge the same images
def case_of(race: Race, round_index: int, multiple: int = 1) -> Case:
    """Return the judge reals beside a round's fakes. ``multiple`` is that of the judges' budget."""
    bank = load_bank(race, round_index)
    return Case.of(race, bank.test, fakes_of_judges(race, bank, round_index, multiple), round_index)


def margin(race: Race, round_index: int, player: str, records: Sequence[Record], progress: Progress) -> PhaseOutput:
    """Degrade reals and fakes alike, and train and test fresh judges on them.

    A bisection over the degradation's ladder finds the level at which the validation AUC of the strongest technique
    falls below ``THRESHOLD``. All techniques judge every level that is tried. Validation images also decide which is
    strongest. Nothing is done if its AUC is below ``PINNED``: the AUC then says more than a margin. All these judges
    have the budget that every round has.
    """
    best = strongest(validation_aucs(records, round_index, race.judge.images))
    if best is None or best[1] < PINNED:
        return PhaseOutput([], 0)
    kind: Degradation = next(kind for kind in LADDERS if kind == player)
    levels = LADDERS[kind].levels
    progress.expect(race.judge.folds * race.judge.images * len(levels).bit_length())
    bank = load_bank(race, round_index)
    fakes = fakes_of_judges(race, bank, round_index)[: MARGIN_SEED + 1]
    change_seed, judges_seed = race.seed_of("degrade", round_index, kind), race.seed_of("judge", round_index)
    tried: list[Record] = []
    images = 0

    def fallen(level: float) -> bool:
        nonlocal images
        change = partial(degraded, kind=kind, level=level, levels=race.data.levels, seed=change_seed)
        case = Case.of(race, bank.test, fakes, round_index, change=change)
        (judgements,), trained = judge_case(
            race,
            case,
            list(race.members),
            judges_seed,
            [MARGIN_SEED],
            images=race.judge.images,
            progress=progress,
        )
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


def validation_aucs(records: Sequence[Record], round_index: int, judge_images: int) -> dict[str, list[float | None]]:
    """Return the validation AUC of a round's fresh judges of that budget, by technique of single images."""
    aucs: dict[str, list[float | None]] = {}
    for record in records:
        match record:
            case ScoreRecord(regime="fresh", technique=technique) if technique != BAG:
                if (record.generator_round, record.judge_images) == (round_index, judge_images):
                    aucs.setdefault(technique, []).append(record.validation_auc)
    return aucs
