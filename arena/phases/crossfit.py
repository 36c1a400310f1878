"""Cross-fitting: every judge real is tested, by a judge that never saw it."""

from typing import NamedTuple

import numpy as np
import torch

from arena.arena import Arena
from arena.bank import Bank
from arena.data.split import folds
from arena.detectors.detector import Examples
from arena.detectors.stack import Stack
from arena.metrics.roc import auc
from arena.phases.confront import combine
from arena.phases.testing import scored
from arena.progress import Progress
from arena.records import Scores, scores_at, write_scores
from arena.seeding import derive_seed
from arena.training.detecting import train_detector

VALIDATION_SHARE = 0.2


class Judgement(NamedTuple):
    """What the judges of all folds said: of the test images, each judged once, and of each fold's validation images."""

    test: Scores
    validation_auc: float
    images: int


def judge_technique(
    arena: Arena,
    progress: Progress,
    name: str,
    bank: Bank,
    technique: str,
    seed: int,
    judge_seed: int,
    share: float,
) -> Judgement:
    """Train one fresh judge a fold on the other folds' reals and the training fakes; test it on its own fold.

    Test fakes are dealt into folds like the reals, so that every test image is judged once; the AUC of the folds, which
    share no image, are averaged. A part of the training reals and the bank's validation fakes stop the judge. Folds and
    parts are the same for every technique and judge seed, so that all is paired and the stack can be fitted.

    Args:
        arena: the race.
        progress: is told of every step.
        name: of this judgement, for the files of its scores.
        bank: the fakes.
        technique: who judges.
        seed: of the judges' streams.
        judge_seed: which of the several judges of this technique.
        share: of data and images the judge may use.
    """
    reals = arena.judge_reals
    real_fold = folds(reals.sources, arena.judge.folds, arena.seed_of("folds", player="reals"))
    fake_fold = folds(np.arange(len(bank.test)), arena.judge.folds, arena.seed_of("folds", player="fakes"))
    tests, validations, images = [], [], 0
    for fold in range(arena.judge.folds):
        tested, others = reals[np.flatnonzero(real_fold == fold)], reals[np.flatnonzero(real_fold != fold)]
        rng = np.random.default_rng(arena.seed_of("judge-validation", fold))
        stop, rest = others.parted(int(len(others) * VALIDATION_SHARE), rng)
        learn = rest[rng.permutation(len(rest))[: round(share * len(rest))]]
        train_fakes = bank.train[: round(share * len(bank.train))]
        stream = derive_seed(seed, "judge", player=f"{technique}/seed={judge_seed}/fold={fold}")
        detector = arena.new_detector(technique, stream)
        images += train_detector(
            detector,
            Examples.of(learn.images, train_fakes),
            Examples.of(stop.images, bank.validation),
            evidence=arena.evidence,
            settings=arena.battery,
            images=round(share * arena.judge.images),
            fresh=True,
            seed=stream,
            machine=arena.machine,
            progress=progress,
        )
        tests.append(scored(arena, detector, tested, bank.test, np.flatnonzero(fake_fold == fold), fold))
        validations.append(scored(arena, detector, stop, bank.validation, np.arange(len(bank.validation)), fold))
    validation = _joined(validations)
    write_scores(arena.run, f"{technique}_{name}_j{judge_seed}_validation", validation)
    return Judgement(_joined(tests), _mean_auc(validation), images)


def judge_stack(arena: Arena, name: str, judge_seed: int) -> Judgement:
    """Stack the members' judges fold by fold: fitted on a fold's validation images, tested on its test images.

    Neither trained a member of that fold. The stack's own validation AUC comes from halves of the validation images,
    each scored by a stack fitted on the other: nothing is scored by what was fitted on it.
    """
    assert arena.stack is not None
    tests, validations = (
        [scores_at(arena.run, f"{member}_{name}_j{judge_seed}{part}") for member in arena.members]
        for part in ("", "_validation")
    )
    tested, validated = [], []
    for fold in range(arena.judge.folds):
        learn = [_of_fold(scores, fold) for scores in validations]
        tested.append(combine(_fitted(arena, learn), [_of_fold(scores, fold) for scores in tests]))
        halves = [[scores.take(np.arange(len(scores.label)) % 2 == half) for scores in learn] for half in (0, 1)]
        validated += [combine(_fitted(arena, halves[1 - half]), halves[half]) for half in (0, 1)]
    return Judgement(_joined(tested), _mean_auc(_joined(validated)), sum(len(scores.label) for scores in validated))


def _fitted(arena: Arena, members: list[Scores]) -> Stack:
    """A stack fitted on the members' scores of the same images."""
    assert arena.stack is not None
    stack = arena.stack(members=len(members))
    logits = torch.from_numpy(np.stack([scores.score for scores in members], axis=1))
    stack.fit(logits, torch.from_numpy(members[0].label.astype(np.int64)))
    return stack


def _joined(parts: list[Scores]) -> Scores:
    return Scores(
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.image for part in parts]),
        np.concatenate([part.fold for part in parts]),
        np.concatenate([part.source for part in parts]),
    )


def _of_fold(scores: Scores, fold: int) -> Scores:
    return scores.take(scores.fold == fold)


def _mean_auc(scores: Scores) -> float:
    """AUC of each fold, averaged: scores of different judges have no common scale."""
    each = [_of_fold(scores, fold) for fold in np.unique(scores.fold).tolist()]
    return float(np.mean([auc(part.score, part.label) for part in each]))
