"""Cross-fitting: every judge real is tested, by judges that never saw it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from arena.arena import Arena
from arena.config import BAG, STACK, VALIDATION_SHARE
from arena.data.split import cut, folds
from arena.detectors.scoring import score_all
from arena.detectors.stack import Stack
from arena.metrics.roc import auc
from arena.phases.case import Case, Places, labelled, scores_of
from arena.phases.testing import stacked
from arena.progress import Progress
from arena.records import Scores
from arena.seeding import derive_seed
from arena.training.detecting import train_battery


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
    arena: Arena, progress: Progress, case: Case, techniques: Sequence[str], seed: int, judge_seed: int, share: float
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
    for number in range(arena.judge.folds):
        fold = cut_fold(arena, case, number, share)
        stream = derive_seed(seed, "judge", player=f"seed={judge_seed}/fold={number}")
        judges = {
            name: arena.new_detector(name, derive_seed(stream, "initialise", player=name), case.round)
            for name in techniques
        }
        images += train_battery(
            judges,
            case.gallery,
            labelled(*fold.learn),
            labelled(*fold.stop),
            settings=arena.battery,
            images=round(share * arena.judge.images),
            fresh=True,
            seed=stream,
            machine=arena.machine,
            progress=progress,
        )
        for kept, (reals, fakes) in ((tests, fold.test), (stops, fold.stop)):
            found = score_all(judges, case.gallery, torch.from_numpy(np.concatenate([reals, fakes])))
            for name, logits in found.items():
                kept[name].append(scores_of(logits, case.reals[reals], case.in_bank(fakes), number))
    joined = {name: Judgement(_joined(tests[name]), _joined(stops[name])) for name in techniques}
    if arena.stack is not None and set(techniques) == set(arena.members):
        joined[STACK] = judge_stack(arena, joined)
        if arena.bag is not None:
            joined[BAG] = Judgement(*map(arena.bag, joined[STACK]))
    return Judgements(joined, images)


def cut_fold(arena: Arena, case: Case, number: int, share: float) -> Fold:
    """One fold of a case, the same whoever judges."""
    tested = np.arange(case.tested)
    real_fold = folds(case.reals[tested].sources, arena.judge.folds, arena.seed_of("folds", player="reals"))
    fake_fold = folds(np.arange(len(case.bank.test)), arena.judge.folds, arena.seed_of("folds", player="fakes"))
    others = np.concatenate([np.flatnonzero(real_fold != number), np.arange(case.tested, len(case.reals))])
    rng = np.random.default_rng(arena.seed_of("judge-validation", number))
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


def judge_stack(arena: Arena, members: Mapping[str, Judgement]) -> Judgement:
    """Stack the members' judges fold by fold: fitted on a fold's validation images, tested on its test images.

    Neither trained a member of that fold. The stack's own validation scores come from halves of the validation images,
    each scored by a stack fitted on the other: nothing is scored by what was fitted on it.
    """
    tested, validated = [], []
    for number in range(arena.judge.folds):
        learn = [_of_fold(member.validation, number) for member in members.values()]
        tested.append(stacked(_fitted(arena, learn), [_of_fold(member.test, number) for member in members.values()]))
        halves = [[scores.take(np.arange(len(scores.label)) % 2 == half) for scores in learn] for half in (0, 1)]
        validated += [stacked(_fitted(arena, halves[1 - half]), halves[half]) for half in (0, 1)]
    return Judgement(_joined(tested), _joined(validated))


def _fitted(arena: Arena, members: Sequence[Scores]) -> Stack:
    """A stack fitted on the members' scores of the same images."""
    assert arena.stack is not None
    stack = arena.stack(members=len(members))
    logits = torch.from_numpy(np.stack([scores.score for scores in members], axis=1))
    stack.fit(logits, torch.from_numpy(members[0].label.astype(np.int64)))
    return stack


def _joined(parts: list[Scores]) -> Scores:
    return Scores(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _of_fold(scores: Scores, fold: int) -> Scores:
    return scores.take(scores.fold == fold)
