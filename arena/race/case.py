"""The images of one judgement: reals and fakes, and the folds in which fresh judges learn from them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arena.data.reals import Reals
from arena.data.split import folds, partition
from arena.detectors.gallery import Gallery, Labelled
from arena.race.checkpoints import Bank
from arena.race.forging import forge_banks
from arena.race.hardening import attack_of, partly, spread
from arena.race.race import Race

VALIDATION_SHARE = 0.2
"""Share of a judge's reals that stop it."""

Places = NDArray[np.int64]
"""Places of images in a gallery."""


class JudgeFakes(NamedTuple):
    """Fakes that the judges of one seed learn from and stop on: uint8 (n, C, H, W) each."""

    train: Tensor
    validation: Tensor


def fakes_of_judges(
    race: Race, bank: Bank, round_index: int, judge_seeds: Iterable[int], multiple: int = 1
) -> list[JudgeFakes]:
    """Return fakes for the judges of some seeds, drawn anew for each, so that fitted techniques vary too.

    A generator forges them. Controls and images of a folder are finite: their training and validation fakes are dealt
    anew for each seed, and none of them is ever a test fake.

    Args:
        race: of the judges.
        bank: the fakes of the round.
        round_index: of the generator.
        judge_seeds: numbers of the judges.
        multiple: of the training fakes, for a larger budget.
    """
    if race.finite:
        return redealt(race, bank, judge_seeds)
    fakes = list[JudgeFakes]()
    counts = {"train": multiple * race.bank.train, "validation": race.bank.validation}
    for judge_seed in judge_seeds:
        seed = race.seed_of("forge", player=f"judge={judge_seed}")
        fakes.append(JudgeFakes(**forge_banks(race, round_index, counts, seed)))
    return fakes


def redealt(race: Race, bank: Bank, judge_seeds: Iterable[int]) -> list[JudgeFakes]:
    """Deal a bank's training and validation fakes anew for the judges of each of some seeds."""
    pooled, dealt = torch.cat([bank.train, bank.validation]), list[JudgeFakes]()
    for judge_seed in judge_seeds:
        order = np.random.default_rng(race.seed_of("deal", player=f"judge={judge_seed}")).permutation(len(pooled))
        dealt.append(JudgeFakes(*pooled[torch.from_numpy(order)].split([len(bank.train), len(bank.validation)])))
    return dealt


@dataclass(frozen=True, eq=False)
class Case:
    """Reals and fakes, in one gallery, on which fresh judges learn and are tested.

    Args:
        gallery: the reals, then the test fakes, then for each judge seed its fakes to train and to validate. If
            judges are hardened and ``crossed``, attacked copies of the test fakes follow.
        reals: those of the gallery, the tested ones first.
        n_test_reals: number of tested reals. The others are only learned from.
        n_test_fakes: number of test fakes, which all judge seeds share.
        n_judge_fakes: numbers of training and validation fakes of each judge seed.
        first_seed: the first judge seed. Fakes of judges follow each other by seed.
        round_index: of the judgement. GAN-aware judges know the GAN of the round before.
        crossed: whether judges also learn from the test fakes of other folds. Images of a folder are few.
        first_copy: place of the first attacked copy of a test fake. None without copies.
    """

    gallery: Gallery
    reals: Reals
    n_test_reals: int
    n_test_fakes: int
    n_judge_fakes: tuple[int, int]
    first_seed: int
    round_index: int
    crossed: bool
    first_copy: int | None = None

    @classmethod
    def of(
        cls,
        race: Race,
        test_fakes: Tensor,
        judge_fakes: Sequence[JudgeFakes],
        round_index: int,
        control: bool = False,
        change: Callable[[Tensor], Tensor] | None = None,
        first_seed: int = 0,
    ) -> "Case":
        """Set the judge reals beside fakes. Judges of fakes made outside also learn from the detectors' reals.

        Args:
            race: of the judges.
            test_fakes: fakes that test the judges, uint8 (N, C, H, W).
            judge_fakes: those of each judge seed. Empty for judges that learned from another case.
            round_index: of the judgement.
            control: whether the fakes are a control, made of the detectors' reals. No judge then learns from those.
            change: applied to all images, uint8 (N, C, H, W), before the evidence path.
            first_seed: judge seed of the first of ``judge_fakes``.
        """
        tested, outside = race.judge_reals, race.purpose == "outside"
        reals = tested
        if outside and not control:
            reals = race.data.reals[np.concatenate([tested.ids, race.data.part("detector").ids])]
        crossed = race.finite and race.purpose != "control"
        copies = test_fakes[:0]
        if race.judge.hardened and judge_fakes:
            attack, share = attack_of(race, round_index), race.judge.hardened
            judge_fakes = [
                of_seed._replace(train=partly(attack, of_seed.train, share, f"judge={judge_seed}"))
                for judge_seed, of_seed in enumerate(judge_fakes, first_seed)
            ]
            if crossed:
                copies = attack(test_fakes, "test")
        of_judges = [part for of_seed in judge_fakes for part in of_seed]
        images = torch.cat([reals.images, test_fakes, *of_judges, copies])
        gallery = Gallery(images if change is None else change(images), race.evidence, race.machine.device)
        return cls(
            gallery,
            reals,
            n_test_reals=len(tested),
            n_test_fakes=len(test_fakes),
            n_judge_fakes=(len(judge_fakes[0].train), len(judge_fakes[0].validation)) if judge_fakes else (0, 0),
            first_seed=first_seed,
            round_index=round_index,
            crossed=crossed,
            first_copy=len(images) - len(copies) if len(copies) else None,
        )

    def fake_places(self, judge_seed: int) -> tuple[Places, Places, Places]:
        """Return the places of the fakes to train and to validate the judges of a seed, and of the test fakes."""
        of_seed = sum(self.n_judge_fakes)
        start = len(self.reals) + self.n_test_fakes + (judge_seed - self.first_seed) * of_seed
        train, validation = np.split(start + np.arange(of_seed), self.n_judge_fakes[:1])
        return train, validation, len(self.reals) + np.arange(self.n_test_fakes)

    def hardened(self, places: Places, share: float) -> Places:
        """Return places of test fakes to learn from, a share of them replaced by those of their attacked copies."""
        if self.first_copy is None:
            return places
        return np.where(spread(len(places), share), self.first_copy + places - len(self.reals), places)

    def ids_of(self, fakes: Places) -> NDArray[np.int64]:
        """Return the ids of fakes: their indices in the test bank, or after it for others."""
        ids = fakes - len(self.reals)
        return np.where(ids < self.n_test_fakes, ids, ids + self.first_seed * sum(self.n_judge_fakes))


class Fold(NamedTuple):
    """Places in a case's gallery to learn from, to stop on and to test: reals and fakes of each."""

    learn: tuple[Places, Places]
    stop: tuple[Places, Places]
    test: tuple[Places, Places]


def cut_fold(race: Race, case: Case, judge_seed: int, number: int, share: float) -> Fold:
    """Return one fold of the judges of a seed, the same for every technique. Each seed has folds of its own."""
    tested, player = np.arange(case.n_test_reals), f"judge={judge_seed}"
    train_fakes, validation_fakes, test_fakes = case.fake_places(judge_seed)
    real_fold = folds(case.reals[tested].sources, race.judge.folds, race.seed_of("folds", player=f"{player}/reals"))
    fake_fold = folds(np.arange(case.n_test_fakes), race.judge.folds, race.seed_of("folds", player=f"{player}/fakes"))
    others = np.concatenate([np.flatnonzero(real_fold != number), np.arange(case.n_test_reals, len(case.reals))])
    rng = np.random.default_rng(race.seed_of("judge-validation", number, player))
    part = partition(case.reals[others].sources, np.array([int(len(others) * VALIDATION_SHARE)]), rng)
    stop, rest = others[part == 0], others[part == 1]
    fakes = train_fakes
    if case.crossed:
        others_fakes = case.hardened(test_fakes[fake_fold != number], race.judge.hardened)
        fakes = rng.permutation(np.concatenate([fakes, others_fakes]))
    learn = rest[rng.permutation(len(rest))[: round(share * len(rest))]]
    return Fold(
        learn=(learn, fakes[: round(share * len(fakes))]),
        stop=(stop, validation_fakes),
        test=(np.flatnonzero(real_fold == number), test_fakes[fake_fold == number]),
    )


def labelled(reals: Places, fakes: Places) -> Labelled:
    """Return places of both classes with their labels, the reals first."""
    labels = torch.tensor([0, 1]).repeat_interleave(torch.tensor([len(reals), len(fakes)]))
    return Labelled(torch.from_numpy(np.concatenate([reals, fakes])), labels)
