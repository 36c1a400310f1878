"""Judge fakes with fresh cross-fitted detectors, and record the scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arena.config.schema import BAG, STACK
from arena.core.progress import Progress
from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.data.split import folds, partition
from arena.detectors.gallery import Gallery, Labelled, score_all
from arena.detectors.stack import Stack
from arena.metrics.auc import auc, summarise
from arena.race.checkpoints import Bank
from arena.race.race import Race
from arena.records.schema import FitnessRecord, Regime, ScoreRecord, Scores
from arena.records.store import write_scores
from arena.training.battery import train_battery

VALIDATION_SHARE = 0.2
"""Share of a judge's reals that stop it."""

Places = NDArray[np.int64]
"""Places of images in a gallery."""


@dataclass(frozen=True, eq=False)
class Case:
    """Reals and a bank of fakes, in one gallery, on which fresh judges learn and are tested.

    Args:
        gallery: the reals, then the bank's fakes to train, to validate and to test.
        reals: those of the gallery, the tested ones first.
        tested: number of tested reals. The others are only learned from.
        bank: the fakes.
        round_index: of the judgement. GAN-aware judges know the GAN of the round before.
        crossed: whether judges also learn from the test fakes of other folds. Fakes made outside are few.
    """

    gallery: Gallery
    reals: Reals
    tested: int
    bank: Bank
    round_index: int
    crossed: bool

    @classmethod
    def of(
        cls,
        race: Race,
        bank: Bank,
        round_index: int,
        control: bool = False,
        change: Callable[[Tensor], Tensor] | None = None,
    ) -> "Case":
        """Set the judge reals beside a bank. Judges of fakes made outside also learn from the detectors' reals.

        Args:
            race: of the judges.
            bank: the fakes.
            round_index: of the judgement.
            control: whether the fakes are a control, made of the detectors' reals. No judge then learns from those.
            change: applied to all images, uint8 (N, C, H, W), before the evidence path.
        """
        tested = race.judge_reals
        reals = tested
        if race.outside and not control:
            reals = race.data.reals[np.concatenate([tested.ids, race.data.part("detector").ids])]
        images = torch.cat([reals.images, *bank])
        gallery = Gallery(images if change is None else change(images), race.evidence, race.machine.device)
        return cls(gallery, reals, len(tested), bank, round_index, race.outside)

    @property
    def fakes(self) -> tuple[Places, Places, Places]:
        """Places of the fakes to train, to validate and to test."""
        starts = np.cumsum([len(self.reals), len(self.bank.train), len(self.bank.validation)])
        _, train, validation, test = np.split(np.arange(len(self.gallery)), starts)
        return train, validation, test

    def ids_of(self, fakes: Places) -> NDArray[np.int64]:
        """Return the ids of fakes: their indices in the bank to which they belong."""
        ids = np.concatenate([np.arange(len(part)) for part in self.bank])
        return ids[fakes - len(self.reals)]


class Fold(NamedTuple):
    """Places in a case's gallery to learn from, to stop on and to test: reals and fakes of each."""

    learn: tuple[Places, Places]
    stop: tuple[Places, Places]
    test: tuple[Places, Places]


def cut_fold(race: Race, case: Case, number: int, share: float) -> Fold:
    """Return one fold of a case, the same for every judge seed and technique."""
    tested = np.arange(case.tested)
    train_fakes, validation_fakes, test_fakes = case.fakes
    real_fold = folds(case.reals[tested].sources, race.judge.folds, race.seed_of("folds", player="reals"))
    fake_fold = folds(np.arange(len(test_fakes)), race.judge.folds, race.seed_of("folds", player="fakes"))
    others = np.concatenate([np.flatnonzero(real_fold != number), np.arange(case.tested, len(case.reals))])
    rng = np.random.default_rng(race.seed_of("judge-validation", number))
    part = partition(case.reals[others].sources, np.array([int(len(others) * VALIDATION_SHARE)]), rng)
    rest, fakes = others[part == 1], train_fakes
    if case.crossed:
        fakes = rng.permutation(np.concatenate([fakes, test_fakes[fake_fold != number]]))
    learn = rest[rng.permutation(len(rest))[: round(share * len(rest))]]
    return Fold(
        learn=(learn, fakes[: round(share * len(fakes))]),
        stop=(others[part == 0], validation_fakes),
        test=(np.flatnonzero(real_fold == number), test_fakes[fake_fold == number]),
    )


def labelled(reals: Places, fakes: Places) -> Labelled:
    """Return places of both classes with their labels, the reals first."""
    labels = torch.tensor([0, 1]).repeat_interleave(torch.tensor([len(reals), len(fakes)]))
    return Labelled(torch.from_numpy(np.concatenate([reals, fakes])), labels)


class Judgement(NamedTuple):
    """Scores of one technique's judges: of the test images, each judged once, and of each fold's validation images."""

    test: Scores
    validation: Scores

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
    judge_seed: int,
    share: float = 1.0,
    progress: Progress | None = None,
) -> tuple[dict[str, Judgement], int]:
    """Train one fresh judge per technique and fold, and test it on its own fold. All techniques share one pass.

    A fold's judges learn from the other folds' reals and the training fakes. Test fakes are dealt into folds like the
    reals, so every test image is judged once. Part of the reals and the bank's validation fakes stop the judges. Folds
    are the same for every judge seed, so all results are paired. The stack is fitted on validation images.

    Args:
        race: data, battery and budget of the judges.
        case: reals and fakes.
        techniques: members that judge. All members together also give stack and bag.
        seed: of the judges' streams.
        judge_seed: number of the judge of each technique.
        share: share of data and images that the judges use.
        progress: counts the images.

    Returns:
        The judgement of each technique, and the number of images trained on.
    """
    tests: dict[str, list[Scores]] = {technique: [] for technique in techniques}
    stops: dict[str, list[Scores]] = {technique: [] for technique in techniques}
    images = 0
    for number in range(race.judge.folds):
        fold = cut_fold(race, case, number, share)
        stream = derive_seed(seed, "judge", player=f"seed={judge_seed}/fold={number}")
        judges = {
            name: race.new_detector(name, derive_seed(stream, "initialise", player=name), case.round_index)
            for name in techniques
        }
        images += train_battery(
            judges,
            case.gallery,
            labelled(*fold.learn),
            labelled(*fold.stop),
            settings=race.battery,
            images=round(share * race.judge.images),
            fresh=True,
            seed=stream,
            machine=race.machine,
            progress=progress,
        )
        for kept, (reals, fakes) in ((tests, fold.test), (stops, fold.stop)):
            logits = score_all(judges, case.gallery, torch.from_numpy(np.concatenate([reals, fakes])))
            for name in techniques:
                kept[name].append(scores_of(logits[name], case.reals[reals], case.ids_of(fakes), number))
    judgements = {name: Judgement(_joined(tests[name]), _joined(stops[name])) for name in techniques}
    if race.stack is not None and set(techniques) == set(race.members):
        judgements[STACK] = judge_stack(race, judgements)
        if race.bag is not None:
            judgements[BAG] = Judgement(*map(race.bag, judgements[STACK]))
    return judgements, images


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
    return Judgement(_joined(tested), _joined(validated))


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


def _joined(parts: list[Scores]) -> Scores:
    return Scores(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _of_fold(scores: Scores, number: int) -> Scores:
    return scores.take(scores.fold == number)


def score_record(
    race: Race,
    scores: Scores,
    technique: str,
    regime: Regime,
    generator_round: int,
    detector_round: int,
    judge_seed: int | None = None,
    validation_auc: float | None = None,
) -> ScoreRecord:
    """Write the scores of one test and return its record."""
    judge = "" if judge_seed is None else f"_j{judge_seed}"
    name = f"{technique}_{regime}_g{generator_round:02d}_d{detector_round:02d}{judge}"
    return ScoreRecord(
        round=max(generator_round, detector_round),
        seed=race.seed,
        technique=technique,
        detector=f"{technique}@{detector_round}{judge}",
        regime=regime,
        access=race.access_to(technique),
        judge_seed=judge_seed,
        generator_round=generator_round,
        detector_round=detector_round,
        validation_auc=validation_auc,
        scores=write_scores(race.run, name, scores),
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
        share: share of data and images that the judge used.
    """
    return FitnessRecord(
        round=round_index,
        seed=race.seed,
        technique=technique,
        artefact=artefact,
        amplitude=None if artefact is None else race.data.planted_amplitude,
        share=share,
        judge_seed=judge_seed,
        scores=write_scores(race.run, f"{technique}_{test}_j{judge_seed}", scores),
        **summarise(scores, race.margin).as_fields(),
    )
