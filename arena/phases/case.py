"""A case: the reals and the fakes of one judgement in one gallery, each image and each feature computed once."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arena.arena import Arena
from arena.bank import Bank
from arena.data.reals import Reals
from arena.detectors.gallery import Gallery, Labelled
from arena.records import Scores

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
        arena: Arena,
        bank: Bank,
        round: int,
        control: bool = False,
        change: Callable[[Tensor], Tensor] | None = None,
    ) -> "Case":
        """The judge reals and a bank; where no generator learns, the detectors' reals are free to be learned from.

        Args:
            arena: the race.
            bank: of fakes.
            round: theirs.
            control: whether the bank is a control's, which is made of those very reals: then nobody learns from them.
            change: what is done to all images, uint8 (N, C, H, W), before they come down the evidence path.
        """
        tested = arena.judge_reals
        reals = tested
        if arena.outside and not control:
            reals = arena.data.reals[np.concatenate([tested.ids, arena.data.part("detector").ids])]
        images = torch.cat([reals.images, *bank])
        gallery = Gallery(images if change is None else change(images), arena.evidence, arena.machine.device)
        return cls(gallery, reals, len(tested), bank, round, arena.outside)

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
