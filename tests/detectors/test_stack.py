from statistics import NormalDist

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from arena.detectors.stack import Bag
from arena.metrics.auc import auc
from arena.records.schema import Scores
from tests.detectors.planted import CONF


def build(members):
    return instantiate(OmegaConf.load(CONF / "detector" / "stack.yaml"), _convert_="all")(members=members)


def complementary(n, seed, fakes=0.5):
    """Three members on scales far apart: two that each see half of the trace, and one that is blind."""
    rng = np.random.default_rng(seed)
    labels = (rng.uniform(size=n) < fakes).astype(np.int64)
    logits = rng.normal(size=(n, 3)) + labels[:, None] * np.array([1.2, 1.2, 0])
    return torch.from_numpy(logits * [100, 0.1, 1] + [40, 0, -3]).float(), torch.from_numpy(labels)


@pytest.mark.parametrize("fakes", [0.5, 0.2])
def test_it_is_scikit_learns_regression_of_the_standardised_logits(fakes):
    logits, labels = complementary(600, 0, fakes)
    stack = build(3)
    stack.fit(logits, labels)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=stack.penalty, class_weight="balanced"))
    theirs.fit(logits.double().numpy(), labels.numpy())
    test, _ = complementary(300, 1)
    expected = theirs.decision_function(test.double().numpy())
    # Deviations here are those of n - 1 images, and of n in StandardScaler.
    np.testing.assert_allclose(stack(test), expected, rtol=1e-3, atol=1e-3)


def test_it_is_stronger_than_its_strongest_member_where_they_complement_each_other():
    stack = build(3)
    stack.fit(*complementary(2000, 0))
    logits, labels = complementary(4000, 1)
    members = [roc_auc_score(labels, logits[:, k]) for k in range(3)]
    # Two independent normal members of separation 1.2: AUC Phi(1.2 / sqrt 2) = 0.80 alone, Phi(1.2) = 0.88 together.
    assert max(members) == pytest.approx(0.80, abs=0.02)
    assert roc_auc_score(labels, stack(logits)) == pytest.approx(0.885, abs=0.02)


def test_a_member_of_constant_score_has_no_effect():
    logits, labels = complementary(600, 0)
    constant = torch.full((600, 1), 12.345)
    without, having = build(3), build(4)
    without.fit(logits, labels)
    having.fit(torch.cat([logits, constant], 1), labels)
    test, _ = complementary(300, 1)
    expected = without(test)
    assert having.weight.isfinite().all()
    torch.testing.assert_close(having(torch.cat([test, constant[:300]], 1)), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(having(torch.cat([test, constant[:300] + 5], 1)), expected, rtol=1e-3, atol=1e-2)


def test_with_members_that_are_all_constant_it_prefers_neither_class():
    stack = build(2)
    stack.fit(torch.zeros(40, 2), torch.tensor([0, 1] * 20))
    torch.testing.assert_close(stack(torch.zeros(3, 2)), torch.zeros(3), rtol=0, atol=1e-6)


def test_a_new_instance_takes_its_tensors():
    stack, again = build(3), build(3)
    stack.fit(*complementary(300, 0))
    again.load_state_dict(stack.state_dict())
    test, _ = complementary(50, 1)
    assert torch.equal(again(test), stack(test))


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
