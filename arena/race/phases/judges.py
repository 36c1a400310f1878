"""Step 4: train fresh judges from scratch, never attacked, and degrade images until the best of them fails."""

import functools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from arena.answer.estimate import Estimate, estimate
from arena.answer.findings import is_saturated, judges_to_show, strongest, whole_and_half
from arena.answer.runs import read_influence
from arena.config.schema import BAG
from arena.core.degradations import LADDERS, THRESHOLD, Degradation
from arena.core.progress import Progress
from arena.imaging.evidence import degraded
from arena.metrics.auc import combine, summarise
from arena.race.case import Case, fakes_of_judges
from arena.race.checkpoints import load_bank
from arena.race.judging import Judgement, fitness_record, judge_case, score_record
from arena.race.phases.calibrate import EQUAL_N, judge_equal_n
from arena.race.processes import SecondProcess
from arena.race.race import PhaseOutput, Race
from arena.records.schema import HALF, MarginRecord, Record, ScoreRecord
from arena.records.store import write_scores
from arena.training.meter import Meter

DEGRADE_FROM = 0.99
"""Validation AUC of the strongest technique from which images are degraded."""
MARGIN_SEED = 0
"""Number of the judges of degraded images."""


class Budget(NamedTuple):
    """A step of the judging.

    Args:
        multiple: of a judge's images and training fakes, 1 in every round.
        seeds: numbers of the judges that it trains.
        share: of their data and images that the judges learn from.
    """

    multiple: int
    seeds: range
    share: float = 1.0

    @property
    def added(self) -> bool:
        """True where it adds judges to those of the steps before, which have the same multiple."""
        return self.seeds.start > 0


def judge_players(race: Race, round_index: int) -> list[str]:
    """Return the players of this phase in order: the budgets of the judges, and ``EQUAL_N`` at the last round."""
    return [*budgets(race, round_index), *([EQUAL_N] if round_index == race.rounds else [])]


def budgets(race: Race, round_index: int) -> dict[str, Budget]:
    """Return the budgets of the judges, in order. At the last round they may grow.

    Each budget of the last round is followed by the same judges with half of the data, then by more judges of the same
    budget, with all and with half of the data.
    """
    images, seeds = race.judge.images, race.judge.seeds
    if round_index < race.rounds:
        return {f"{images} images": Budget(1, range(seeds))}
    more, tried = range(seeds, seeds + race.judge.more_seeds), dict[str, Budget]()
    for multiple in (1, *race.judge.multiples):
        for numbers in filter(None, (range(seeds), more)):
            name = f"{multiple * images} images" + (f", {len(more)} more judges" if numbers == more else "")
            tried[name] = Budget(multiple, numbers)
            tried[f"{name}, half"] = Budget(multiple, numbers, HALF)
    return tried


def judge(
    race: Race,
    round_index: int,
    player: str,
    records: Sequence[Record],
    progress: Progress,
    second: SecondProcess | None = None,
) -> PhaseOutput:
    """Judge G_round's fakes with the judges of every seed. The verdict reads these "fresh" scores alone.

    At the last round the same judges are trained once more on half of their data and images. If the whole may gain more
    than half of the margin over the half, a larger judge might see more. Where the spread of few judges may hide that
    the gain is small, judges are added. Otherwise images and training fakes grow to the next multiple declared. The
    verdict reads the largest budget. A technique that may still gain cannot pass (rule of evidence 4).
    """
    if player == EQUAL_N:
        return judge_equal_n(race, round_index, progress)
    tried = budgets(race, round_index)
    step = tried[player]
    if not is_called_for(race, records, tried, player):
        return PhaseOutput([], 0)
    images, seeds = step.multiple * race.judge.images, step.seeds
    case, seed = case_of(race, round_index, step.multiple, seeds), race.seed_of("judge", round_index)
    progress.expect(round(race.judge.folds * step.share * images) * len(seeds))
    meter = Meter()
    of_seeds, trained = judge_case(
        race,
        case,
        list(race.members),
        seed,
        seeds,
        images=images,
        share=step.share,
        progress=progress,
        meter=meter,
        second=second,
    )
    written: list[Record] = [
        score_record(
            race,
            judgement.test,
            technique,
            "fresh",
            generator_round=round_index,
            detector_round=round_index,
            judge_seed=judge_seed,
            judge_images=images,
            validation_auc=judgement.validation_auc,
        )
        if step.share == 1
        else fitness_record(
            race,
            judgement.test,
            technique,
            f"half_g{round_index:02d}",
            round_index=round_index,
            judge_seed=judge_seed,
            judge_images=images,
            share=step.share,
        )
        for judge_seed, judgements in zip(seeds, of_seeds, strict=True)
        for technique, judgement in judgements.items()
    ]
    return PhaseOutput(written, trained, meter.spent)


def is_called_for(race: Race, records: Sequence[Record], tried: Mapping[str, Budget], player: str) -> bool:
    """Return whether the race goes on to this budget, by the judges of the one before.

    More images are judged if any technique may still gain. More judges are added if that many would show, for each
    technique that may gain, that its gain is small (``judges_to_show``). At the largest budget nothing else is left to
    try, so there they are added wherever the estimated gains are small. Half of the data is used wherever all is.
    """
    budget = tried[player]
    steps = [each for each in tried.values() if each.share == 1]
    number = steps.index(budget._replace(share=1.0))
    if number == 0:
        return True
    gains = unsaturated_gains(race, records, steps[number - 1].multiple * race.judge.images).values()
    if not budget.added:
        return bool(gains)
    largest = number == len(steps) - 1

    def helps(gain: Estimate) -> bool:
        """Whether the added judges may show that this gain is below half of the margin."""
        if largest:
            return gain.value < race.margin / 2
        judges = judges_to_show(gain, race.margin, race.alpha)
        return judges is not None and judges <= budget.seeds.stop

    return bool(gains) and all(map(helps, gains))


def unsaturated_gains(race: Race, records: Sequence[Record], judge_images: int) -> dict[str, Estimate]:
    """Return the gain of each technique whose judges may gain more than half of the margin from twice the data.

    Args:
        race: of the judges.
        records: of the race so far.
        judge_images: budget of the judges. Without judges of it no technique may gain.
    """
    estimates: dict[str, Estimate] = {}
    for technique, pairs in whole_and_half(records, race.rounds, judge_images).items():
        influences = [[read_influence(race.run, record.scores) for record in pair] for pair in pairs]
        estimates[technique] = estimate([[combine(pair, (1.0, -1.0)) for pair in influences]])
    return {name: gain for name, gain in estimates.items() if not is_saturated(gain, race.margin, race.alpha)}


@functools.lru_cache(maxsize=1)  # whole and half judges judge the same images
def case_of(race: Race, round_index: int, multiple: int, judge_seeds: range) -> Case:
    """Return the judge reals beside a round's fakes, those that test judges and those that judges learn from.

    Args:
        race: of the judges.
        round_index: of the fakes.
        multiple: of the judges' budget.
        judge_seeds: numbers of the judges.
    """
    bank = load_bank(race, round_index)
    fakes = fakes_of_judges(race, bank, round_index, judge_seeds, multiple)
    return Case.of(race, bank.test, fakes, round_index, first_seed=judge_seeds.start)


def margin(race: Race, round_index: int, player: str, records: Sequence[Record], progress: Progress) -> PhaseOutput:
    """Degrade reals and fakes alike, and train and test fresh judges on them.

    A bisection over the degradation's ladder finds the level at which the validation AUC of the strongest technique
    falls below ``THRESHOLD``. All techniques judge every level that is tried. Validation images also decide which is
    strongest. Nothing is done if its AUC is below ``DEGRADE_FROM``: the AUC then says more than a margin. All these
    judges have the budget that every round has.
    """
    best = strongest(validation_aucs(records, round_index, race.judge.images))
    if best is None or best[1] < DEGRADE_FROM:
        return PhaseOutput([], 0)
    kind: Degradation = next(kind for kind in LADDERS if kind == player)
    levels = LADDERS[kind].levels
    progress.expect(race.judge.folds * race.judge.images * len(levels).bit_length())
    bank = load_bank(race, round_index)
    fakes = fakes_of_judges(race, bank, round_index, [MARGIN_SEED])
    change_seed, judges_seed = race.seed_of("degrade", round_index, kind), race.seed_of("judge", round_index)
    written, trained, meter = list[Record](), list[int](), Meter()

    def fallen(level: float) -> bool:
        """Judge images degraded to this level, and return whether the AUC of the strongest has fallen."""
        change = partial(degraded, kind=kind, level=level, levels=race.data.levels, seed=change_seed)
        case = Case.of(race, bank.test, fakes, round_index, change=change)
        (judgements,), images = judge_case(
            race,
            case,
            list(race.members),
            judges_seed,
            [MARGIN_SEED],
            images=race.judge.images,
            progress=progress,
            meter=meter,
        )
        trained.append(images)
        written.extend(margin_records(race, judgements, round_index, kind, level))
        return judgements[best[0]].validation_auc < THRESHOLD

    bisect_right(levels, False, key=fallen)
    return PhaseOutput(written, sum(trained), meter.spent)


def margin_records(
    race: Race, judgements: Mapping[str, Judgement], round_index: int, kind: Degradation, level: float
) -> list[MarginRecord]:
    """Write the scores of the judges of degraded images, and return a record for each technique of single images."""
    return [
        MarginRecord(
            round=round_index,
            seed=race.seed,
            technique=technique,
            degradation=kind,
            level=level,
            judge_seed=MARGIN_SEED,
            scores=write_scores(
                race.run, f"{technique}_{kind}_{level:g}_g{round_index:02d}_j{MARGIN_SEED}", judgement.test
            ),
            **summarise(judgement.test, race.margin).as_fields(),
        )
        for technique, judgement in judgements.items()
        if technique != BAG
    ]


def validation_aucs(records: Sequence[Record], round_index: int, judge_images: int) -> dict[str, list[float | None]]:
    """Return the validation AUC of a round's fresh judges of that budget, by technique of single images."""
    aucs: dict[str, list[float | None]] = {}
    for record in records:
        match record:
            case ScoreRecord(regime="fresh", technique=technique) if technique != BAG:
                if (record.generator_round, record.judge_images) == (round_index, judge_images):
                    aucs.setdefault(technique, []).append(record.validation_auc)
    return aucs
