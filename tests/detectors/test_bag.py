from statistics import NormalDist

import numpy as np
import pytest

from arena.core.errors import ArenaError
from arena.detectors.stack import Bag
from arena.metrics.auc import auc
from arena.records.schema import Scores


def scores(n=4000, separation=0.5, folds=2, seed=0):
    """Normal logits of unit variance, the fakes' mean ``separation`` above the reals'."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.array([0, 1], dtype=np.uint8), n)
    score = (rng.normal(size=2 * n) + separation * label).astype(np.float32)
    ids = np.tile(np.arange(n), 2)
    return Scores(score, label, ids, (np.arange(2 * n) % folds).astype(np.uint8), ids)


@pytest.mark.parametrize("n", [2, 4, 9])
def test_independent_images_add_up_as_the_square_root_of_their_number(n):
    """AUC = Phi(d' / sqrt 2) of two normal classes; d' of a mean of n is sqrt(n) times that of one."""
    bagged = Bag(n)(scores())
    expected = NormalDist().cdf(0.5 * n**0.5 / 2**0.5)
    assert auc(bagged.score, bagged.label) == pytest.approx(expected, abs=0.03)


def test_bags_are_disjoint_and_of_one_class_and_one_fold():
    one = scores(n=25, folds=3)
    bagged = Bag(4)(one)
    for fold in range(3):
        for label in (0, 1):
            here = one.take((one.fold == fold) & (one.label == label))
            bags = bagged.take((bagged.fold == fold) & (bagged.label == label))
            full = here.score[: len(bags.score) * 4].reshape(-1, 4)
            assert len(bags.score) == len(here.score) // 4
            np.testing.assert_allclose(bags.score, full.mean(1), rtol=1e-6)
            assert bags.image.tolist() == here.image[::4][: len(bags.score)].tolist()


def test_a_bag_of_one_is_refused():
    with pytest.raises(ArenaError, match=r"battery.bag.n=1: expected at least 2"):
        Bag(1)
