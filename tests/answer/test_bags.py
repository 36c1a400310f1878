import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

from arena.answer.bags import FEWEST_BAGS, SURE, bag_curve, images_needed
from arena.answer.divergence import calibrated_scores
from tests.answer.gaussians import gaussians, true_auc

pytestmark = pytest.mark.slow

MANY = 4000


def curve_of(d, n_real=MANY, n_fake=MANY, judges=1, folds=1, seed=0, noise=0.0):
    run = calibrated_scores(gaussians(np.random.default_rng(seed), d, n_real, n_fake, judges, folds, noise))
    curve = bag_curve([run])
    return curve, images_needed([run], curve)


@pytest.mark.parametrize("d", [0.7, 1.0, 2.0])
def test_two_gaussians_need_the_images_that_theory_says(d):
    """n images stand sqrt(n) d apart: right in Phi(sqrt(n) d / 2) of cases; 99% at (2 * 2.326 / d)^2."""
    curve, needed = curve_of(d)
    for bags in curve.bags:
        if bags.n <= 32:
            assert bags.right.low <= norm.cdf(np.sqrt(bags.n) * d / 2) <= bags.right.high
            assert bags.auc.low <= true_auc(np.sqrt(bags.n) * d) <= bags.auc.high
            assert bags.right.value == pytest.approx(norm.cdf(np.sqrt(bags.n) * d / 2), abs=0.02)
    exact = (2 * norm.ppf(SURE) / d) ** 2
    assert needed.measured.n is not None
    assert 0.85 * exact < needed.measured.n < 1.15 * exact + 1
    assert needed.measured.low is not None
    assert needed.measured.low <= np.ceil(exact)


@pytest.mark.parametrize("d", [0.3, 1.0, 2.0])
def test_chernoffs_number_is_that_of_the_chernoff_information(d):
    """M = exp(-d^2 / 8) for either class, so that ln(100) / (d^2 / 8) images suffice: more than are needed."""
    curve, needed = curve_of(d, n_real=20_000, n_fake=20_000)
    assert np.log(curve.moments[0]) == pytest.approx([-(d**2) / 8] * 2, rel=0.2)
    expected = np.log(1 / (1 - SURE)) / (d**2 / 8)
    n, low, high = dataclasses.astuple(needed.chernoff)
    assert low <= np.ceil(expected) <= high
    assert n == pytest.approx(expected, rel=0.1, abs=1)
    assert needed.measured.n is None or needed.measured.n < n


@pytest.mark.parametrize("d", [0.5, 1.0, 3.0])
def test_chernoffs_bound_lies_below_what_is_measured(d):
    curve, _ = curve_of(d)
    for bags in curve.bags:
        assert curve.bound(bags.n) <= bags.right.high
    assert curve.bound(0) == 0.0


def test_scores_that_carry_nothing_need_endlessly_many():
    """P = Q: decisions stay at 1/2 however many images, and no number is promised."""
    for seed in range(5):
        curve, needed = curve_of(0.0, 300, 300, judges=3, folds=3, seed=seed)
        assert needed.measured.n is None
        assert needed.chernoff.high is None
        assert "more than the 12 images" in needed.reason
        assert "too weak" in needed.reason
        assert all(bags.right.low < 0.5 < bags.right.high for bags in curve.bags)


def test_calibration_does_not_leak_into_the_bags():
    """Without a difference the mean over many draws is a half, not more: no bag's images calibrated one another."""
    rng = np.random.default_rng(1)
    curves = [bag_curve([calibrated_scores(gaussians(rng, 0.0, 80, 80, 1, 1))]) for _ in range(40)]
    sure = np.array([[bags.right.value for bags in curve.bags] for curve in curves])
    assert (np.abs(sure.mean(axis=0) - 0.5) < 4 * sure.std(axis=0) / np.sqrt(40)).all()


def test_the_interval_holds_the_truth():
    """Few images, so that large bags reuse them over and over: the interval counts disjoint bags only."""
    rng, held, total = np.random.default_rng(2), 0, 0
    for _ in range(30):
        for bags in bag_curve([calibrated_scores(gaussians(rng, 1.5, 60, 60, 1, 1))]).bags:
            truth = norm.cdf(np.sqrt(bags.n) * 1.5 / 2)
            held, total = held + (bags.right.low <= truth <= bags.right.high), total + 1
    assert held / total > 0.92  # nominally 95%, in sets that hang together


@pytest.mark.parametrize(("n_real", "n_fake", "folds"), [(60, 200, 3), (300, 300, 1), (30, 30, 3)])
def test_bags_leave_disjoint_ones(n_real, n_fake, folds):
    curve, needed = curve_of(1.0, n_real, n_fake, folds=folds)
    in_half = n_real // folds // 2
    assert needed.most == in_half // FEWEST_BAGS
    assert [bags.n for bags in curve.bags][:2] == ([1, 2] if needed.most > 1 else [1])
    for bags in curve.bags:
        assert bags.disjoint == 2 * folds * (in_half // bags.n)


def test_nothing_wrong_in_few_bags_is_not_certainty():
    curve, needed = curve_of(8.0, 60, 60)
    last = curve.bags[-1]
    assert last.right.value == last.right.high == 1.0
    assert last.right.low < 1 - 3.0 / (2 * last.disjoint)  # the rule of three
    assert needed.measured.n == 1
    assert needed.measured.high is None
    assert needed.reason == "too few disjoint bags to bound the number measured"


def test_rare_errors_unseen_hold_chernoffs_number_up():
    """A perfect score on 30 images each: a wrong image in 30 may be unseen, and one of those outweighs a few right."""
    few, many = (dataclasses.astuple(curve_of(20.0, n, n)[1].chernoff) for n in (30, 3000))
    assert few[2] > few[0]
    assert few[2] > many[2]


def test_over_runs_the_interval_is_the_widest():
    rng = np.random.default_rng(3)
    runs = [calibrated_scores(gaussians(rng, d, 400, 400, 2, 2)) for d in (1.0, 2.0)]
    each, both = [bag_curve([run]) for run in runs], bag_curve(runs)
    assert both.bags[0].right.value == pytest.approx(np.mean([curve.bags[0].right.value for curve in each]))
    assert both.bags[0].right.low == each[0].bags[0].right.low
    assert both.bags[0].right.high == each[1].bags[0].right.high
    found, alone = images_needed(runs, both), [images_needed([r], c) for r, c in zip(runs, each, strict=True)]
    assert (found.chernoff.low, found.chernoff.high) == (alone[1].chernoff.low, alone[0].chernoff.high)
    slow, between, quick = (dataclasses.astuple(its.chernoff)[0] for its in (alone[0], found, alone[1]))
    assert quick < between < slow
