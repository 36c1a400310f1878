from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, norm, t

from arena.answer.estimate import estimate
from arena.metrics.auc import FOLD_DEPENDENCE, combine, floor_variance, influence, mean, placements
from tests.metrics.test_roc import scores_of


def brute_force(real, fake):
    """DeLong, DeLong & Clarke-Pearson (1988), equations 3 to 5, with the kernel written out."""
    kernel = (fake[:, None] > real) + 0.5 * (fake[:, None] == real)
    of_fake, of_real = kernel.mean(axis=1), kernel.mean(axis=0)
    return kernel.mean(), of_fake.var(ddof=1) / len(fake) + of_real.var(ddof=1) / len(real), of_real, of_fake


@pytest.mark.parametrize("ties", [False, True])
def test_against_the_kernel_written_out(ties):
    rng = np.random.default_rng(3)
    real, fake = rng.normal(size=70), rng.normal(0.6, 1.0, size=50)
    if ties:
        real, fake = real.round(), fake.round()
    auc, variance, of_real, of_fake = brute_force(real, fake)
    found = influence(scores_of(real, fake))
    assert found.value == pytest.approx(auc, abs=1e-12)
    assert found.variance == pytest.approx(variance, rel=1e-9)
    np.testing.assert_allclose(placements(real, fake)[0], of_real, atol=1e-12)
    np.testing.assert_allclose(placements(real, fake)[1], of_fake, atol=1e-12)


def test_against_the_jackknife():
    """DeLong's variance is the jackknife's over the images of each class (DeLong et al. 1988), to order 1/n."""
    rng = np.random.default_rng(4)
    real, fake = rng.normal(size=80), rng.normal(1.0, 1.0, size=90)
    without_real = [brute_force(np.delete(real, i), fake)[0] for i in range(80)]
    without_fake = [brute_force(real, np.delete(fake, i))[0] for i in range(90)]
    jackknife = np.var(without_real) * 79 + np.var(without_fake) * 89
    assert influence(scores_of(real, fake)).variance == pytest.approx(jackknife, rel=1e-6)


def test_null_variance():
    """(n + m + 1) / (12 n m), exactly, on average over samples (Mann & Whitney 1947)."""
    rng = np.random.default_rng(5)
    found = [influence(scores_of(*rng.normal(size=(2, 60)))).variance for _ in range(200)]
    assert np.mean(found) == pytest.approx(121 / (12 * 3600), rel=0.05)


@pytest.mark.parametrize(("auc", "folds", "n"), [(0.5, 1, 60), (0.5, 3, 90), (0.8, 1, 60), (0.95, 2, 120)])
def test_coverage_of_the_interval(auc, folds, n):
    """95% intervals on simulated normals cover within binomial error of what they claim, or a little more."""
    rng, repeats = np.random.default_rng(6), 400
    fold = np.arange(n) % folds
    covered = 0
    for _ in range(repeats):
        real, fake = rng.normal(size=n), rng.normal(np.sqrt(2) * norm.ppf(auc), 1.0, size=n)
        found = influence(scores_of(real, fake, fold, fold))
        covered += abs(found.value - auc) < norm.ppf(0.975) * np.sqrt(found.variance)
    low, high = binom.interval(0.999, repeats, 0.94)[0], repeats
    assert low <= covered <= high


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.01])
@pytest.mark.parametrize(("n", "m"), [(100, 100), (100, 2000), (2000, 100), (30, 40)])
@pytest.mark.parametrize("wrong_way", [False, True])
def test_floor_is_no_tighter_than_the_rule_of_three(alpha, n, m, wrong_way):
    """With no image out of rank in n, a share of -ln(alpha)/n of them may be (Hanley & Lippman-Hand 1983)."""
    real, fake = np.arange(n) / n, 2 + np.arange(m) / m
    scores = scores_of(fake, real) if wrong_way else scores_of(real, fake)
    found = influence(scores)
    assert found.value == (0.0 if wrong_way else 1.0)
    assert norm.isf(alpha) * np.sqrt(found.variance) >= 0.999 * -np.log(alpha) / min(n, m)


@pytest.mark.parametrize(("wrong", "exact"), [(1, 4.74), (2, 6.30)])
def test_floor_near_one_is_hardly_tighter_than_poisson(wrong, exact):
    """One or two fakes among 200 below every real: Poisson's exact one-sided 95% bounds are 4.74 and 6.30 images."""
    fake = np.concatenate([-np.ones(wrong), 2 + np.arange(200 - wrong)])
    found = influence(scores_of(np.arange(200) / 200, fake))
    upper = (1 - found.value) + norm.isf(0.05) * np.sqrt(found.variance)
    assert upper * 200 >= 0.95 * exact


def test_constant_scores_are_chance_with_an_error():
    found = influence(scores_of(np.zeros(100), np.zeros(100)))
    assert found.value == 0.5
    assert found.variance == pytest.approx(2e-4)


def test_floor_leaves_ordinary_intervals_alone():
    assert floor_variance(0.5, 1e-3, 100, 100) == 0.0
    assert floor_variance(0.95, 2.1e-4, 100, 100) == 0.0


def test_the_same_judge_twice_is_one_judge():
    rng = np.random.default_rng(7)
    one = influence(scores_of(rng.normal(size=50), rng.normal(size=50)))
    assert mean([one, one]).variance == pytest.approx(one.variance)
    nothing = combine([one, one], [1.0, -1.0])
    assert (nothing.value, nothing.variance) == (0.0, 0.0)


def test_judges_of_other_folds_average_like_bootstrap():
    """Two judges deal the images into folds of their own: the variance of their mean is the bootstrap's over images."""
    rng = np.random.default_rng(8)
    n = 60
    real, fake = rng.normal(size=n), rng.normal(0.8, 1.0, size=n)
    deals = [(rng.permutation(np.arange(n) % k), rng.permutation(np.arange(n) % k)) for k in (2, 3)]
    judged = [(real + 0.5 * rng.normal(size=n), fake + 0.5 * rng.normal(size=n)) for _ in deals]
    together = mean([influence(scores_of(*j, *d)) for j, d in zip(judged, deals, strict=True)])
    draws = []
    for _ in range(600):
        i, j = rng.integers(n, size=(2, n))
        aucs = []
        for (of_real, of_fake), (fold_real, fold_fake) in zip(judged, deals, strict=True):
            folds = np.unique(fold_real)
            aucs += [
                np.mean(
                    [
                        placements(of_real[i][fold_real[i] == fold], of_fake[j][fold_fake[j] == fold])[1].mean()
                        for fold in folds
                    ]
                )
            ]
        draws.append(np.mean(aucs))
    # These judges learned from no image, so that no pair of reals meets but once.
    once = together.fake @ together.fake + together.real @ together.real / FOLD_DEPENDENCE
    assert np.sqrt(once) == pytest.approx(np.std(draws), rel=0.15)


@pytest.mark.parametrize(("shift", "learned"), [(0.0, True), (0.5, True), (0.0, False)])
def test_cross_fitted_judges_of_few_reals_cover_nonetheless(shift, learned):
    """Judges along the difference of two means: where reals of other folds taught them, DeLong's own interval fails.

    The truth is what such judges reach on average, which 1/2 is where nothing is to be seen.
    """
    rng = np.random.default_rng(12)
    folds, n, m, dimensions, repeats = 3, 20, 40, 20, 500
    fold_real, fold_fake = (np.repeat(np.arange(folds), size) for size in (n, m))
    values, plain, doubled = [], [], []
    for _ in range(repeats):
        reals, others = rng.normal(size=(2, folds * n, dimensions))
        fakes, taught = (rng.normal(size=(folds * size, dimensions)) for size in (m, m))
        fakes[:, 0] += shift
        taught[:, 0] += shift
        real, fake = np.zeros(folds * n), np.zeros(folds * m)
        for fold in range(folds):
            lesson = reals if learned else others
            judge = taught.mean(axis=0) - lesson[fold_real != fold].mean(axis=0)
            real[fold_real == fold] = reals[fold_real == fold] @ judge
            fake[fold_fake == fold] = fakes[fold_fake == fold] @ judge
        found = influence(scores_of(real, fake, fold_real, fold_fake))
        values.append(found.value)
        of_reals = found.real @ found.real
        plain.append(found.variance - of_reals * (1 - 1 / FOLD_DEPENDENCE))
        doubled.append(found.variance)
    off = np.abs(np.array(values) - (np.mean(values) if shift else 0.5))
    covered = [np.sum(off < norm.ppf(0.975) * np.sqrt(variance)) for variance in (plain, doubled)]
    assert covered[1] >= binom.ppf(1e-3, repeats, 0.95)
    assert (covered[0] < binom.ppf(1e-3, repeats, 0.95)) == learned


def test_banks_keep_their_fakes_apart():
    rng = np.random.default_rng(9)
    a, b = (scores_of(rng.normal(size=40), rng.normal(size=40)) for _ in range(2))
    apart = combine([influence(a, bank=0), influence(b, bank=1)], [1.0, -1.0])
    assert (len(apart.real), len(apart.fake)) == (40, 80)


def test_images_of_one_person_are_one():
    """Each real five times over is no more evidence than once."""
    rng = np.random.default_rng(5)
    real, fake = rng.normal(size=60), rng.normal(0.5, 1.0, size=400)
    copied = scores_of(real.repeat(5), fake)
    known = influence(copied._replace(source=np.concatenate([np.arange(60).repeat(5), np.arange(400)])))
    assert len(known.real) == 60
    assert known.variance == pytest.approx(influence(scores_of(real, fake)).variance, rel=0.02)
    assert influence(copied).variance < 0.6 * known.variance


def test_an_image_counts_once():
    scores = scores_of(np.zeros(3), np.ones(3))
    with pytest.raises(ValueError, match="twice"):
        influence(scores._replace(image=np.array([0, 1, 1, 0, 1, 2])))


def test_estimate_of_runs_with_the_same_reals_keeps_their_error():
    """Runs that share reals agree too well: the error of the mean must not fall below what the reals leave."""
    rng = np.random.default_rng(10)
    covered, naive, repeats, n, runs = 0, 0, 200, 60, 6
    for _ in range(repeats):
        real = rng.normal(size=n)
        judged = [
            [influence(scores_of(real + 0.2 * rng.normal(size=n), 1.02 * rng.normal(size=400)), bank)]
            for bank in range(runs)
        ]
        found = estimate(judged)
        covered += found.low(0.025) <= 0.5 <= found.high(0.025)
        apart = np.array([judges[0].value for judges in judged])
        naive += abs(apart.mean() - 0.5) < 2.571 * apart.std(ddof=1) / np.sqrt(runs)  # t(5) at 97.5%
    assert covered >= binom.ppf(0.001, repeats, 0.94)
    assert naive < 0.8 * repeats


def test_runs_with_reals_of_their_own_are_students_sample():
    rng = np.random.default_rng(11)
    judged = [[influence(scores_of(*rng.normal(size=(2, 80))), bank)] for bank in range(12)]
    apart = [[replace(one[0], real_id=one[0].real_id + 1000 * k)] for k, one in enumerate(judged)]
    found, values = estimate(apart), np.array([one[0].value for one in judged])
    assert found.value == pytest.approx(values.mean())
    assert found.df == pytest.approx(11, rel=1e-6)
    interval = t.interval(0.9, 11, values.mean(), values.std(ddof=1) / np.sqrt(12))
    assert (found.low(0.05), found.high(0.05)) == pytest.approx(interval, rel=1e-6)
    assert found.p_above(0.4) < 0.01 < 0.5 < found.p_above(0.6)
