"""Judge fakes with fresh cross-fitted detectors, and record the scores."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arena.config.schema import BAG, STACK
from arena.core.machine import at_once, parallel_map
from arena.core.progress import Progress
from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.detectors.gallery import score_all
from arena.detectors.stack import Stack
from arena.metrics.auc import auc, summarise
from arena.race.case import Case, Fold, Places, cut_fold, labelled
from arena.race.processes import SecondProcess
from arena.race.race import Race
from arena.records.schema import FitnessRecord, Regime, ScoreRecord, Scores, Spent
from arena.records.store import write_scores
from arena.training.battery import BatchGroup, train_battery
from arena.training.meter import Meter

PARAMETERS = 20_000_000
"""Most parameters of judges that learn side by side in a process. Judges of larger networks learn in turn."""


class Judgement(NamedTuple):
    """Scores of one technique's judges: of the test images, each judged once, and of each fold's validation images."""

    test: Scores
    validation: Scores

    @classmethod
    def joined(cls, folds: Sequence["Judgement"]) -> "Judgement":
        """Join the scores of all folds."""
        return cls(*(joined(parts) for parts in zip(*folds, strict=True)))

    @property
    def validation_auc(self) -> float:
        """Mean AUC over folds. Scores of different judges have no common scale."""
        numbers = np.unique(self.validation.fold).tolist()
        each = [_of_fold(self.validation, number) for number in numbers]
        return float(np.mean([auc(part.score, part.label) for part in each]))


def judge_case(
    race: Race,
    case: Case,
    techniques: Sequence[str],
    seed: int,
    judge_seeds: Sequence[int],
    *,
    images: int,
    share: float = 1.0,
    progress: Progress | None = None,
    meter: Meter | None = None,
    second: SecondProcess | None = None,
) -> tuple[list[dict[str, Judgement]], int]:
    """Train one fresh judge per technique, seed and fold, all side by side, and test each on its own fold.

    A fold's judges learn from the other folds' reals and the seed's training fakes. Test fakes are dealt into folds
    like the reals, so every test image is judged once by every seed. Part of the reals and the seed's validation fakes
    stop the judges. The stack is fitted on validation images.

    Args:
        race: data and battery of the judges.
        case: reals and fakes.
        techniques: members that judge. All members together also give stack and bag.
        seed: of the judges' streams.
        judge_seeds: numbers of the judges of each technique.
        images: budget of a judge.
        share: share of data and images that the judges use.
        progress: counts the images.
        meter: counts what training the judges costs.
        second: process of this race that trains half of the judges, if there is one.

    Returns:
        The judgement of each technique for each judge seed, and the number of images trained on.
    """
    (judged,), trained = judge_cases(
        race,
        case,
        [],
        techniques,
        seed,
        judge_seeds,
        images=images,
        share=share,
        progress=progress,
        meter=meter,
        second=second,
    )
    return judged, trained


def judge_cases(
    race: Race,
    case: Case,
    others: Sequence[Case],
    techniques: Sequence[str],
    seed: int,
    judge_seeds: Sequence[int],
    *,
    images: int,
    share: float = 1.0,
    progress: Progress | None = None,
    meter: Meter | None = None,
    second: SecondProcess | None = None,
) -> tuple[list[list[dict[str, Judgement]]], int]:
    """Do as ``judge_case``, and test the same judges on the test fakes of other cases too.

    Other cases have the same reals, and as many test fakes. They are dealt into folds as those of ``case``.

    Returns:
        For the case and each other one, the judgement of each technique for each judge seed. Validation is that of the
        case in all of them. Then the number of images trained on.
    """
    folds = [
        SeedFold(judge_seed, number, cut_fold(race, case, judge_seed, number, share))
        for judge_seed in judge_seeds
        for number in range(race.judge.folds)
    ]
    judging = partial(
        judge_folds,
        case=case,
        others=others,
        techniques=techniques,
        seed=seed,
        images=round(share * images),
        stopped_on=max(sum(map(len, each.fold.stop)) for each in folds),
    )
    if second is None or len(folds) == 1:
        judged = [judging(race, folds=folds, progress=progress)]
    else:
        middle = (len(folds) + 1) // 2
        beside = second.submit(partial(judging, folds=folds[middle:]))
        with at_once(1):
            here = judging(race, folds=folds[:middle], progress=progress)
        judged = [here, beside.result()]
        if progress is not None:
            progress.advance(judged[1].images)
    if meter is not None:
        for each in judged:
            meter.spent += each.spent
    of_folds = [judgements for each in judged for judgements in each.judgements]
    return [
        [
            _over_folds(race, techniques, [of_cases[number] for of_cases in of_folds[k : k + race.judge.folds]])
            for k in range(0, len(of_folds), race.judge.folds)
        ]
        for number in range(1 + len(others))
    ], sum(each.images for each in judged)


class SeedFold(NamedTuple):
    """The seed of some judges, the number of the fold that tests them, and the fold."""

    judge_seed: int
    number: int
    fold: Fold


class Judged(NamedTuple):
    """For each fold the judgements of a case and of others, by technique. Then the images trained on, and the cost."""

    judgements: list[list[dict[str, Judgement]]]
    images: int
    spent: Spent


def judge_folds(
    race: Race,
    *,
    case: Case,
    others: Sequence[Case],
    techniques: Sequence[str],
    seed: int,
    folds: Sequence[SeedFold],
    images: int,
    stopped_on: int,
    progress: Progress | None = None,
) -> Judged:
    """Train and test the judges of some folds, side by side unless their networks are large.

    Args:
        race: data and battery of the judges.
        case: reals and fakes that they learn from and are tested on.
        others: further cases that they are tested on.
        techniques: members that judge.
        seed: of the judges' streams.
        folds: of the judges, for each of their seeds.
        images: that a judge learns from.
        stopped_on: validation images of the largest fold, here or in another process.
        progress: counts the images.
    """
    parameters = sum(tensor.numel() for name in techniques for tensor in race.examples_of[name].parameters())
    together = max(1, PARAMETERS // max(parameters, 1))
    of_folds, trained, meter = list[list[dict[str, Judgement]]](), 0, Meter()
    for start in range(0, len(folds), together):
        judges = [FoldJudges.of(race, case, techniques, seed, each) for each in folds[start : start + together]]
        trained += train_battery(
            [each.group for each in judges],
            case.gallery,
            settings=race.battery,
            images=images,
            fresh=True,
            machine=race.machine,
            progress=progress,
            meter=meter,
            stopped_on=stopped_on,
        )
        for other in others:
            other.gallery.measure(judges[0].group.detectors)
        of_folds += parallel_map(lambda each: each.judgements(case, others), judges, race.machine.device)
    return Judged(of_folds, trained, meter.spent)


def _over_folds(
    race: Race, techniques: Sequence[str], of_folds: Sequence[Mapping[str, Judgement]]
) -> dict[str, Judgement]:
    """The judgements of one seed. All members together also give stack and bag."""
    judgements = {name: Judgement.joined([judged[name] for judged in of_folds]) for name in techniques}
    if race.stack is not None and set(techniques) == set(race.members):
        judgements[STACK] = judge_stack(race, judgements)
        if race.bag is not None:
            judgements[BAG] = Judgement(*map(race.bag, judgements[STACK]))
    return judgements


class FoldJudges(NamedTuple):
    """The judges of one seed and fold, and the places that they are tested on."""

    group: BatchGroup
    fold: Fold
    number: int

    @classmethod
    def of(cls, race: Race, case: Case, techniques: Sequence[str], seed: int, of_seed: SeedFold) -> "FoldJudges":
        """Return new judges. See ``judge_folds`` for the arguments."""
        judge_seed, number, fold = of_seed
        stream = derive_seed(seed, "judge", player=f"seed={judge_seed}/fold={number}")
        judges = {
            name: race.new_detector(name, derive_seed(stream, "initialise", player=name), case.round_index)
            for name in techniques
        }
        return cls(BatchGroup(judges, labelled(*fold.learn), labelled(*fold.stop), stream), fold, number)

    def judgements(self, case: Case, others: Sequence[Case] = ()) -> list[dict[str, Judgement]]:
        """Return the scores of the fold's test and validation images by technique, for the case and for each other."""
        validated = self._scores(case, self.fold.stop)
        tested = [self._scores(each, self.fold.test) for each in (case, *others)]
        return [{name: Judgement(test[name], validated[name]) for name in test} for test in tested]

    def _scores(self, case: Case, places: tuple[Places, Places]) -> dict[str, Scores]:
        logits = score_all(self.group.detectors, case.gallery, labelled(*places).which)
        reals, fakes = places
        return {
            name: scores_of(of_images, case.reals[reals], case.ids_of(fakes), self.number)
            for name, of_images in logits.items()
        }


def judge_stack(race: Race, members: Mapping[str, Judgement]) -> Judgement:
    """Stack the members' judges fold by fold: fitted on a fold's validation images, tested on its test images.

    Neither trained a member of that fold. The stack's own validation scores come from halves of the validation images,
    each scored by a stack fitted on the other half.
    """
    tested, validated = [], []
    for number in range(race.judge.folds):
        learn = [_of_fold(member.validation, number) for member in members.values()]
        test = [_of_fold(member.test, number) for member in members.values()]
        tested.append(stacked(_fitted(race, learn), test))
        halves = [[scores.take(np.arange(len(scores.label)) % 2 == half) for scores in learn] for half in (0, 1)]
        validated += [stacked(_fitted(race, halves[1 - half]), halves[half]) for half in (0, 1)]
    return Judgement(joined(tested), joined(validated))


def scores_of(logits: Tensor, reals: Reals, fakes: NDArray[np.int64], fold: int = 0) -> Scores:
    """Return logits (n,) of reals, and then of the fakes with these ids, as they are kept."""
    label = np.repeat(np.array([0, 1], dtype=np.uint8), [len(reals), len(fakes)])
    ids = np.concatenate([reals.ids, fakes])
    source = ids if reals.persons is None else np.concatenate([reals.persons, fakes])
    return Scores(logits.numpy(), label, ids, np.full(len(ids), fold, dtype=np.uint8), source)


def stacked(stack: Stack, members: Sequence[Scores]) -> Scores:
    """Return the stack's scores of images that every member has scored, in the same order."""
    return members[0]._replace(score=stack(_logits(members)).numpy())


def _fitted(race: Race, members: Sequence[Scores]) -> Stack:
    assert race.stack is not None
    stack = race.stack(members=len(members))
    stack.fit(_logits(members), torch.from_numpy(members[0].label.astype(np.int64)))
    return stack


def _logits(members: Sequence[Scores]) -> Tensor:
    return torch.from_numpy(np.stack([scores.score for scores in members], axis=1))


def joined(parts: Sequence[Scores]) -> Scores:
    """Return the scores of several sets of images in one."""
    return Scores(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _of_fold(scores: Scores, number: int) -> Scores:
    return scores.take(scores.fold == number)


def score_record(
    race: Race,
    scores: Scores,
    technique: str,
    regime: Regime,
    *,
    generator_round: int,
    detector_round: int,
    judge_seed: int | None = None,
    judge_images: int | None = None,
    validation_auc: float | None = None,
    judge_run: int | None = None,
) -> ScoreRecord:
    """Write the scores of one test and return its record.

    ``judge_images`` is the budget of a fresh judge, and ``judge_run`` the seed of another run whose judge it is.
    """
    judge = "" if judge_seed is None else f"_j{judge_seed}"
    judge += "" if judge_run is None else f"_of{judge_run}"
    judge += "" if judge_images in (None, race.judge.images) else f"_{judge_images}"
    name = f"{technique}_{regime}_g{generator_round:02d}_d{detector_round:02d}{judge}"
    return ScoreRecord(
        round=max(generator_round, detector_round),
        seed=race.seed,
        technique=technique,
        detector=f"{technique}@{detector_round}{judge}",
        regime=regime,
        access=race.access_to(technique),
        judge_seed=judge_seed,
        judge_images=judge_images,
        generator_round=generator_round,
        detector_round=detector_round,
        validation_auc=validation_auc,
        scores=write_scores(race.run, name, scores),
        judge_run=judge_run,
        **asdict(summarise(scores, race.margin)),
    )


def fitness_record(
    race: Race,
    scores: Scores,
    technique: str,
    test: str,
    *,
    round_index: int,
    judge_seed: int,
    artefact: str | None = None,
    judge_images: int,
    share: float = 1.0,
) -> FitnessRecord:
    """Write the scores of a judge that was tested itself, and return its record.

    Args:
        race: to which the scores belong.
        scores: of the judge.
        technique: of the judge.
        test: name of the test, part of the name of the score file.
        round_index: of the fakes.
        judge_seed: number of the judge.
        artefact: planted in the fakes. None for fakes of the generator.
        judge_images: budget of a judge with all data.
        share: share of data and images that the judge used.
    """
    budget = "" if judge_images == race.judge.images else f"_{judge_images}"
    return FitnessRecord(
        round=round_index,
        seed=race.seed,
        technique=technique,
        artefact=artefact,
        amplitude=None if artefact is None else race.data.planted_amplitude,
        share=share,
        judge_seed=judge_seed,
        judge_images=judge_images,
        scores=write_scores(race.run, f"{technique}_{test}_j{judge_seed}{budget}", scores),
        **summarise(scores, race.margin).as_fields(),
    )
