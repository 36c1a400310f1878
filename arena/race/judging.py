"""Judge fakes: the images of one evaluation, cross-fitted fresh detectors, and their scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from arena.config.schema import BAG, STACK, VALIDATION_SHARE
from arena.core.progress import Progress
from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.data.split import cut, folds
from arena.detectors.base import Detector
from arena.detectors.gallery import Gallery, Labelled, score_all
from arena.detectors.stack import Stack
from arena.metrics.auc import auc, summarise
from arena.race.layout import Bank
from arena.race.race import Race
from arena.records.schema import Regime, ScoreRecord, Scores
from arena.records.store import write_scores
from arena.training.battery import train_battery

Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Case:
    """Reals, and a bank of fakes, by their places in a gallery.

    Args:
        gallery: all images: the reals, then the bank's fakes to train, to validate and to test.
        reals: those in the gallery, the tested ones first.
        tested: how many of them are tested; the others are only learned from.
        bank: the fakes.
        round: whose judgement this is, since insiders know the GAN of the round before.
        crossed: whether test fakes of other folds are learned from too, as the reals are: of images somebody else made
            there are only so many.
    """

    gallery: Gallery
    reals: Reals
    tested: int
    bank: Bank
    round: int
    crossed: bool
    _starts: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        counts = [len(self.reals), len(self.bank.train), len(self.bank.validation)]
        object.__setattr__(self, "_starts", tuple(np.cumsum(counts).tolist()))

    @classmethod
    def of(
        cls,
        race: Race,
        bank: Bank,
        round_index: int,
        control: bool = False,
        change: Callable[[Tensor], Tensor] | None = None,
    ) -> "Case":
        """The judge reals and a bank; where no generator learns, the detectors' reals are free to be learned from.

        Args:
            arena: the race.
            bank: of fakes.
            round_index: theirs.
            control: whether the bank is a control's, which is made of those very reals: then nobody learns from them.
            change: what is done to all images, uint8 (N, C, H, W), before they come down the evidence path.
        """
        tested = race.judge_reals
        reals = tested
        if race.outside and not control:
            reals = race.data.reals[np.concatenate([tested.ids, race.data.part("detector").ids])]
        images = torch.cat([reals.images, *bank])
        gallery = Gallery(images if change is None else change(images), race.evidence, race.machine.device)
        return cls(gallery, reals, len(tested), bank, round_index, race.outside)

    @property
    def train_fakes(self) -> Places:
        """Places of the bank's fakes to train on."""
        return self._starts[0] + np.arange(len(self.bank.train))

    @property
    def validation_fakes(self) -> Places:
        """Places of those to stop on."""
        return self._starts[1] + np.arange(len(self.bank.validation))

    @property
    def test_fakes(self) -> Places:
        """Places of those to test on."""
        return self._starts[2] + np.arange(len(self.bank.test))

    def in_bank(self, fakes: Places) -> Places:
        """Ids of fakes: their places in the bank they are of."""
        starts = np.array(self._starts)
        return fakes - starts[np.searchsorted(starts, fakes, side="right") - 1]


def labelled(reals: Places, fakes: Places) -> Labelled:
    """Places of both classes with their labels, the reals first."""
    labels = torch.tensor([0, 1]).repeat_interleave(torch.tensor([len(reals), len(fakes)]))
    return Labelled(torch.from_numpy(np.concatenate([reals, fakes])), labels)


def scores_of(logits: torch.Tensor, reals: Reals, fakes: NDArray[np.int64], fold: int = 0) -> Scores:
    """Logits of reals and then of fakes, as they are kept.

    Args:
        logits: (n,) of the reals, then of the fakes.
        reals: those.
        fakes: ids of those: their places in their bank.
        fold: whose judge it was.
    """
    label = np.repeat(np.array([0, 1], dtype=np.uint8), [len(reals), len(fakes)])
    ids = np.concatenate([reals.ids, fakes])
    source = ids if reals.persons is None else np.concatenate([reals.persons, fakes])
    return Scores(logits.numpy(), label, ids, np.full(len(ids), fold, dtype=np.uint8), source)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All judge reals and a round's test fakes in one gallery, before any number of detectors.

    A test on the diagonal of the payoff matrix is on all of them; an off-diagonal ``cell`` is on a fixed number of
    each, so that a round costs the same however many came before.
    """

    reals: Reals
    fakes: int
    gallery: Gallery

    @classmethod
    def of(cls, race: Race, generator_round: int, cell: bool) -> "Evaluation":
        """The whole test of a round's fakes, or its cell."""
        reals, fakes = race.judge_reals, race.forged(generator_round).test
        if cell:
            rng = np.random.default_rng(race.seed_of("cell"))
            reals = reals[np.sort(rng.permutation(len(reals))[: race.bank.cell])]
            fakes = fakes[: race.bank.cell]
        gallery = Gallery(torch.cat([reals.images, fakes]), race.evidence, race.machine.device)
        return cls(reals, len(fakes), gallery)

    def of_battery(self, race: Race, detectors: Mapping[str, Detector], stack: Stack | None) -> dict[str, Scores]:
        """Every technique's scores, reals first, and the stack's."""
        found = {
            name: scores_of(logits, self.reals, np.arange(self.fakes))
            for name, logits in score_all(detectors, self.gallery).items()
        }
        if stack is not None:
            found[STACK] = stacked(stack, list(found.values()))
            if race.bag is not None:
                found[BAG] = race.bag(found[STACK])
        return found


def load_battery(race: Race, round_index: int) -> tuple[dict[str, Detector], Stack | None]:
    """The detectors in the loop as ``retrain`` left them in that round, and the stack over them."""
    detectors = {technique: load_detector(race, technique, round_index) for technique in race.members}
    if race.stack is None:
        return detectors, None
    stack = race.stack(members=len(race.members))
    stack.load_state_dict(load_file(race.folder(round_index) / "detectors" / f"{STACK}.safetensors"))
    return detectors, stack


def load_detector(race: Race, technique: str, round_index: int) -> Detector:
    """The detector of that technique as ``retrain`` left it in that round."""
    detector = race.new_detector(technique, 0)
    detector.load_state_dict(load_file(race.folder(round_index) / "detectors" / f"{technique}.safetensors"))
    return detector.to(race.machine.device)


def stacked(stack: Stack, members: Sequence[Scores]) -> Scores:
    """The stack's scores of images that each member has scored, in the same order."""
    logits = torch.from_numpy(np.stack([scores.score for scores in members], axis=1))
    return members[0]._replace(score=stack(logits).numpy())


def score_records(
    race: Race, found: Mapping[str, Scores], round_index: int, regime: Regime, generator_round: int, detector_round: int
) -> list[ScoreRecord]:
    """The records of one test of the whole battery."""
    return [
        score_record(
            race,
            scores,
            round_index=round_index,
            technique=technique,
            regime=regime,
            generator_round=generator_round,
            detector_round=detector_round,
        )
        for technique, scores in found.items()
    ]


def score_record(
    race: Race,
    scores: Scores,
    *,
    round_index: int,
    technique: str,
    regime: Regime,
    generator_round: int,
    detector_round: int,
    judge_seed: int | None = None,
    validation_auc: float | None = None,
) -> ScoreRecord:
    """Write the scores down and make the record of their test."""
    cell = f"g{generator_round:02d}_d{detector_round:02d}"
    judge = "" if judge_seed is None else f"_j{judge_seed}"
    name = f"{technique}_{regime}_{cell}{judge}"
    return ScoreRecord(
        round=round_index,
        seed=race.seed,
        technique=technique,
        detector=f"{technique}@{detector_round}{judge}",
        regime=regime,
        told=race.told(technique),
        judge_seed=judge_seed,
        generator_round=generator_round,
        detector_round=detector_round,
        validation_auc=validation_auc,
        scores=write_scores(race.run, name, scores),
        **asdict(summarise(scores, race.margin)),
    )


class Judgement(NamedTuple):
    """What the judges of all folds said: of the test images, each judged once, and of each fold's validation images."""

    test: Scores
    validation: Scores

    @property
    def validation_auc(self) -> float:
        """AUC of each fold, averaged: scores of different judges have no common scale."""
        folds = np.unique(self.validation.fold).tolist()
        each = [self.validation.take(self.validation.fold == fold) for fold in folds]
        return float(np.mean([auc(part.score, part.label) for part in each]))


class Judgements(NamedTuple):
    """Those of every technique asked, and how many images the stream showed."""

    of: dict[str, Judgement]
    images: int


class Fold(NamedTuple):
    """Places in the case's gallery: to learn from, to stop on, to test; reals and fakes of each."""

    learn: tuple[Places, Places]
    stop: tuple[Places, Places]
    test: tuple[Places, Places]


def judge_case(
    race: Race, progress: Progress, case: Case, techniques: Sequence[str], seed: int, judge_seed: int, share: float
) -> Judgements:
    """Train one fresh judge a technique and fold, all techniques in one pass; test each on its own fold.

    A fold's judges learn from the other folds' reals and the training fakes. Test fakes are dealt into folds like the
    reals, so that every test image is judged once; the AUC of the folds, which share no image, are averaged. A part of
    the training reals and the bank's validation fakes stop the judges. Folds and parts are the same for every judge
    seed, so that all is paired; the stack is fitted on what the members say of validation images.

    Args:
        arena: the race.
        progress: is told of every step.
        case: reals and fakes.
        techniques: who judges; with all members, stack and bag too.
        seed: of the judges' streams.
        judge_seed: which of the several judges of each technique.
        share: of data and images the judges may use.
    """
    tests: dict[str, list[Scores]] = {technique: [] for technique in techniques}
    stops: dict[str, list[Scores]] = {technique: [] for technique in techniques}
    images = 0
    for number in range(race.judge.folds):
        fold = cut_fold(race, case, number, share)
        stream = derive_seed(seed, "judge", player=f"seed={judge_seed}/fold={number}")
        judges = {
            name: race.new_detector(name, derive_seed(stream, "initialise", player=name), case.round)
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
            found = score_all(judges, case.gallery, torch.from_numpy(np.concatenate([reals, fakes])))
            for name, logits in found.items():
                kept[name].append(scores_of(logits, case.reals[reals], case.in_bank(fakes), number))
    joined = {name: Judgement(_joined(tests[name]), _joined(stops[name])) for name in techniques}
    if race.stack is not None and set(techniques) == set(race.members):
        joined[STACK] = judge_stack(race, joined)
        if race.bag is not None:
            joined[BAG] = Judgement(*map(race.bag, joined[STACK]))
    return Judgements(joined, images)


def cut_fold(race: Race, case: Case, number: int, share: float) -> Fold:
    """One fold of a case, the same whoever judges."""
    tested = np.arange(case.tested)
    real_fold = folds(case.reals[tested].sources, race.judge.folds, race.seed_of("folds", player="reals"))
    fake_fold = folds(np.arange(len(case.bank.test)), race.judge.folds, race.seed_of("folds", player="fakes"))
    others = np.concatenate([np.flatnonzero(real_fold != number), np.arange(case.tested, len(case.reals))])
    rng = np.random.default_rng(race.seed_of("judge-validation", number))
    part = cut(case.reals[others].sources, np.array([int(len(others) * VALIDATION_SHARE)]), rng)
    rest, fakes = others[part == 1], case.train_fakes
    if case.crossed:
        fakes = rng.permutation(np.concatenate([fakes, case.test_fakes[fake_fold != number]]))
    learn = rest[rng.permutation(len(rest))[: round(share * len(rest))]]
    return Fold(
        learn=(learn, fakes[: round(share * len(fakes))]),
        stop=(others[part == 0], case.validation_fakes),
        test=(np.flatnonzero(real_fold == number), case.test_fakes[fake_fold == number]),
    )


def judge_stack(race: Race, members: Mapping[str, Judgement]) -> Judgement:
    """Stack the members' judges fold by fold: fitted on a fold's validation images, tested on its test images.

    Neither trained a member of that fold. The stack's own validation scores come from halves of the validation images,
    each scored by a stack fitted on the other: nothing is scored by what was fitted on it.
    """
    tested, validated = [], []
    for number in range(race.judge.folds):
        learn = [_of_fold(member.validation, number) for member in members.values()]
        tested.append(stacked(_fitted(race, learn), [_of_fold(member.test, number) for member in members.values()]))
        halves = [[scores.take(np.arange(len(scores.label)) % 2 == half) for scores in learn] for half in (0, 1)]
        validated += [stacked(_fitted(race, halves[1 - half]), halves[half]) for half in (0, 1)]
    return Judgement(_joined(tested), _joined(validated))


def _fitted(race: Race, members: Sequence[Scores]) -> Stack:
    """A stack fitted on the members' scores of the same images."""
    assert race.stack is not None
    stack = race.stack(members=len(members))
    logits = torch.from_numpy(np.stack([scores.score for scores in members], axis=1))
    stack.fit(logits, torch.from_numpy(members[0].label.astype(np.int64)))
    return stack


def _joined(parts: list[Scores]) -> Scores:
    return Scores(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _of_fold(scores: Scores, fold: int) -> Scores:
    return scores.take(scores.fold == fold)
