from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import binom, norm
from sklearn import metrics as sklearn_metrics

from arena.metrics.auc import (
    FOLD_DEPENDENCE,
    auc,
    combine,
    eer,
    floor_variance,
    influence,
    log_loss,
    mean,
    placements,
    summarise,
    tpr_at_fpr,
    true_positive_rate,
)
from arena.records.schema import Scores
from tests.metrics.scores import scores_of

# -- the AUC and its error --------------------------------------------------------------------------------------------


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
    result = influence(scores_of(real, fake))
    assert result.value == pytest.approx(auc, abs=1e-12)
    assert result.variance == pytest.approx(variance, rel=1e-9)
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


def test_the_mean_variance_under_the_null_hypothesis():
    """It is (n + m + 1) / (12 n m) exactly (Mann & Whitney 1947)."""
    rng = np.random.default_rng(5)
    variances = [influence(scores_of(*rng.normal(size=(2, 60)))).variance for _ in range(200)]
    assert np.mean(variances) == pytest.approx(121 / (12 * 3600), rel=0.05)


@pytest.mark.parametrize(("auc", "folds", "n"), [(0.5, 1, 60), (0.5, 3, 90), (0.8, 1, 60), (0.95, 2, 120)])
def test_coverage_of_the_interval(auc, folds, n):
    """95% intervals on simulated normals cover within binomial error of what they claim, or a little more."""
    rng, repeats = np.random.default_rng(6), 400
    fold = np.arange(n) % folds
    covered = 0
    for _ in range(repeats):
        real, fake = rng.normal(size=n), rng.normal(np.sqrt(2) * norm.ppf(auc), 1.0, size=n)
        result = influence(scores_of(real, fake, fold, fold))
        covered += abs(result.value - auc) < norm.ppf(0.975) * np.sqrt(result.variance)
    low, high = binom.interval(0.999, repeats, 0.94)[0], repeats
    assert low <= covered <= high


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.01])
@pytest.mark.parametrize(("n", "m"), [(100, 100), (100, 2000), (2000, 100), (30, 40)])
@pytest.mark.parametrize("wrong_way", [False, True])
def test_the_floor_is_no_tighter_than_the_rule_of_three(alpha, n, m, wrong_way):
    """Without a ranking error in n images, up to a share of -ln(alpha)/n may have one (Hanley & Lippman-Hand 1983)."""
    real, fake = np.arange(n) / n, 2 + np.arange(m) / m
    scores = scores_of(fake, real) if wrong_way else scores_of(real, fake)
    result = influence(scores)
    assert result.value == (0.0 if wrong_way else 1.0)
    assert norm.isf(alpha) * np.sqrt(result.variance) >= 0.999 * -np.log(alpha) / min(n, m)


@pytest.mark.parametrize(("wrong", "exact"), [(1, 4.74), (2, 6.30)])
def test_the_floor_near_one_is_hardly_tighter_than_poisson(wrong, exact):
    """One or two fakes among 200 below every real: Poisson's exact one-sided 95% bounds are 4.74 and 6.30 images."""
    fake = np.concatenate([-np.ones(wrong), 2 + np.arange(200 - wrong)])
    result = influence(scores_of(np.arange(200) / 200, fake))
    upper = (1 - result.value) + norm.isf(0.05) * np.sqrt(result.variance)
    assert upper * 200 >= 0.95 * exact


def test_constant_scores_are_chance_with_an_error():
    result = influence(scores_of(np.zeros(100), np.zeros(100)))
    assert result.value == 0.5
    assert result.variance == pytest.approx(2e-4)


def test_the_floor_does_not_change_ordinary_intervals():
    assert floor_variance(0.5, 1e-3, 100, 100) == 0.0
    assert floor_variance(0.95, 2.1e-4, 100, 100) == 0.0


def test_the_same_judge_twice_is_one_judge():
    rng = np.random.default_rng(7)
    one = influence(scores_of(rng.normal(size=50), rng.normal(size=50)))
    assert mean([one, one]).variance == pytest.approx(one.variance)
    nothing = combine([one, one], [1.0, -1.0])
    assert (nothing.value, nothing.variance) == (0.0, 0.0)


def test_judges_with_different_folds_average_like_the_bootstrap():
    """The variance of the mean of two judges is that of the bootstrap over images."""
    rng = np.random.default_rng(8)
    n = 60
    real, fake = rng.normal(size=n), rng.normal(0.8, 1.0, size=n)
    splits = [(rng.permutation(np.arange(n) % k), rng.permutation(np.arange(n) % k)) for k in (2, 3)]
    judged = [(real + 0.5 * rng.normal(size=n), fake + 0.5 * rng.normal(size=n)) for _ in splits]
    together = mean([influence(scores_of(*j, *d)) for j, d in zip(judged, splits, strict=True)])
    draws = []
    for _ in range(600):
        i, j = rng.integers(n, size=(2, n))
        aucs = []
        for (of_real, of_fake), (fold_real, fold_fake) in zip(judged, splits, strict=True):
            per_fold = [
                placements(of_real[i][fold_real[i] == fold], of_fake[j][fold_fake[j] == fold])[1].mean()
                for fold in np.unique(fold_real)
            ]
            aucs.append(np.mean(per_fold))
        draws.append(np.mean(aucs))
    # No image trained these judges, so that folds are independent.
    once = together.fake @ together.fake + together.real @ together.real / FOLD_DEPENDENCE
    assert np.sqrt(once) == pytest.approx(np.std(draws), rel=0.15)


@pytest.mark.parametrize(("shift", "learned"), [(0.0, True), (0.5, True), (0.0, False)])
def test_intervals_of_cross_fitted_judges_cover_with_few_reals(shift, learned):
    """A judge is the difference of two means. If reals of the other folds train it, DeLong's own interval fails.

    The truth is the mean AUC of such judges, which is 1/2 without a difference.
    """
    rng = np.random.default_rng(12)
    folds, n, m, dimensions, repeats = 3, 20, 40, 20, 500
    fold_real, fold_fake = (np.repeat(np.arange(folds), size) for size in (n, m))
    values, plain, doubled = [], [], []
    for _ in range(repeats):
        reals, others = rng.normal(size=(2, folds * n, dimensions))
        fakes, training = (rng.normal(size=(folds * size, dimensions)) for size in (m, m))
        fakes[:, 0] += shift
        training[:, 0] += shift
        real, fake = np.zeros(folds * n), np.zeros(folds * m)
        for fold in range(folds):
            own = reals if learned else others
            judge = training.mean(axis=0) - own[fold_real != fold].mean(axis=0)
            real[fold_real == fold] = reals[fold_real == fold] @ judge
            fake[fold_fake == fold] = fakes[fold_fake == fold] @ judge
        result = influence(scores_of(real, fake, fold_real, fold_fake))
        values.append(result.value)
        of_reals = result.real @ result.real
        plain.append(result.variance - of_reals * (1 - 1 / FOLD_DEPENDENCE))
        doubled.append(result.variance)
    off = np.abs(np.array(values) - (np.mean(values) if shift else 0.5))
    covered = [np.sum(off < norm.ppf(0.975) * np.sqrt(variance)) for variance in (plain, doubled)]
    assert covered[1] >= binom.ppf(1e-3, repeats, 0.95)
    assert (covered[0] < binom.ppf(1e-3, repeats, 0.95)) == learned


def test_banks_keep_their_fakes_apart():
    rng = np.random.default_rng(9)
    a, b = (scores_of(rng.normal(size=40), rng.normal(size=40)) for _ in range(2))
    apart = combine([influence(a, bank=0), influence(b, bank=1)], [1.0, -1.0])
    assert (len(apart.real), len(apart.fake)) == (40, 80)


def test_images_of_one_person_count_as_one():
    """Five copies of each real are no more evidence than one."""
    rng = np.random.default_rng(5)
    real, fake = rng.normal(size=60), rng.normal(0.5, 1.0, size=400)
    copied = scores_of(real.repeat(5), fake)
    known = influence(copied._replace(source=np.concatenate([np.arange(60).repeat(5), np.arange(400)])))
    assert len(known.real) == 60
    assert known.variance == pytest.approx(influence(scores_of(real, fake)).variance, rel=0.02)
    assert influence(copied).variance < 0.6 * known.variance


def test_an_image_that_occurs_twice_is_refused():
    scores = scores_of(np.zeros(3), np.ones(3))
    with pytest.raises(ValueError, match="twice"):
        influence(scores._replace(image=np.array([0, 1, 1, 0, 1, 2])))


# -- the other figures -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def normal() -> Scores:
    rng = np.random.default_rng(0)
    return scores_of(rng.normal(size=300), rng.normal(0.7, 1.3, size=200))


def test_against_sklearn(normal):
    result = summarise(normal, margin=0.05)
    assert result.auc == pytest.approx(sklearn_metrics.roc_auc_score(normal.label, normal.score), abs=1e-12)
    ap = sklearn_metrics.average_precision_score(normal.label, normal.score)
    assert result.average_precision == pytest.approx(ap, abs=1e-12)
    weight = np.where(normal.label == 1, 1 / 200, 1 / 300)
    share = 1 / (1 + np.exp(-normal.score.astype(float)))
    assert result.log_loss == pytest.approx(sklearn_metrics.log_loss(normal.label, share, sample_weight=weight))
    assert (result.n_real, result.n_fake) == (300, 200)


@pytest.mark.parametrize("decimals", [9, 1, 0])
def test_rates_against_all_thresholds(normal, decimals):
    """Rounded scores tie."""
    normal = normal._replace(score=normal.score.round(decimals))
    real, fake = (normal.score[normal.label == label] for label in (0, 1))
    thresholds = np.append(normal.score, np.inf)
    fpr = (real >= thresholds[:, None]).mean(axis=1)
    tpr = (fake >= thresholds[:, None]).mean(axis=1)
    for limit in (0.01, 0.05):
        assert tpr_at_fpr(normal.score, normal.label, limit) == pytest.approx(tpr[fpr <= limit].max())
    if decimals:  # a curve of few points has long straight lines
        closest = np.abs(fpr - (1 - tpr)).argmin()
        assert eer(normal.score, normal.label) == pytest.approx(fpr[closest], abs=0.01)


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        ([0.0, 1.0], [2.0, 3.0], {"auc": 1.0, "eer": 0.0, "average_precision": 1.0, "average_precision_chance": 0.5}),
        ([2.0, 3.0], [0.0, 1.0], {"auc": 0.0, "eer": 1.0, "tpr_at_1pct_fpr": None}),
        ([5.0, 5.0], [5.0, 5.0], {"auc": 0.5, "eer": 0.5, "tpr_at_5pct_fpr": None, "average_precision": 0.5}),
        ([0.0, 0.0], [0.0, 0.0], {"log_loss": np.log(2)}),
        ([0.0, 1.0], [1.0, 2.0], {"auc": 0.875}),  # three of four pairs are won, one is tied
    ],
)
def test_conventions(real, fake, expected):
    result = summarise(scores_of(np.array(real), np.array(fake)), margin=0.05)
    for name, value in expected.items():
        assert getattr(result, name) == (value if value is None else pytest.approx(value)), name


@pytest.mark.parametrize(("n", "supported"), [(99, False), (100, True)])
def test_a_rate_at_one_percent_needs_a_hundred_reals_in_every_fold(n, supported):
    rng = np.random.default_rng(1)
    fold_real, fold_fake = np.repeat([0, 1], [n, 300]), np.arange(200) % 2
    scores = scores_of(rng.normal(size=n + 300), rng.normal(size=200), fold_real, fold_fake)
    assert (summarise(scores, 0.05).tpr_at_1pct_fpr is not None) is supported
    assert summarise(scores, 0.05).tpr_at_5pct_fpr is not None
    assert true_positive_rate(scores._replace(source=scores.source // 4), 0.01) is None  # four images of each person


@pytest.mark.parametrize(("separation", "fpr"), [(0.0, 0.05), (1.0, 0.01), (2.0, 0.01), (2.0, 0.05), (3.5, 0.05)])
def test_the_interval_of_a_rate_holds_it(separation, fpr):
    """Of three folds on scales of their own, which pooled would have another rate."""
    rng, repeats, n, m = np.random.default_rng(2), 200, 180, 340
    truth, held = norm.sf(norm.isf(fpr) - separation), 0
    folds = [np.repeat(np.arange(3), size) for size in (n, m)]
    for _ in range(repeats):
        real, fake = rng.normal(5 * folds[0]), rng.normal(5 * folds[1] + separation)
        found = true_positive_rate(scores_of(real, fake, *folds), fpr)
        assert found is not None
        assert 0 <= found.low <= found.value <= found.high <= 1
        held += found.low <= truth <= found.high
    assert held >= binom.ppf(1e-3, repeats, 0.95)


def test_average_precision_of_uninformative_scores_is_the_share_of_fakes():
    rng = np.random.default_rng(3)
    result = summarise(scores_of(rng.normal(size=1000), rng.normal(size=3000)), 0.05)
    assert result.average_precision_chance == 0.75
    assert result.average_precision == pytest.approx(0.75, abs=0.03)


def test_large_logits_have_finite_loss():
    result = log_loss(np.array([-1e4, 1e4, 1e4], dtype=np.float32), np.array([0, 1, 0], dtype=np.uint8))
    assert result == pytest.approx(2500.0)


def test_folds_are_averaged_never_pooled():
    """Each fold separates perfectly on its own scale. The pooled AUC would be 0.75."""
    real, fake = np.array([0.0, 1.0, 10.0, 11.0]), np.array([2.0, 3.0, 12.0, 13.0])
    fold = np.array([0, 0, 1, 1])
    whole = scores_of(real, fake, fold, fold)
    assert summarise(whole, 0.05).auc == 1.0
    assert sklearn_metrics.roc_auc_score(whole.label, whole.score) == 0.75
    assert summarise(whole, 0.05).eer == 0.0


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_scores_must_be_finite(score):
    with pytest.raises(ValueError, match="finite"):
        summarise(scores_of(np.array([0.0, score]), np.array([1.0, 2.0])), 0.05)


def test_a_fold_of_one_class_is_refused():
    with pytest.raises(ValueError, match="fold 1"):
        summarise(scores_of(np.zeros(4), np.zeros(4), np.array([0, 0, 1, 1]), np.zeros(4)), 0.05)


levels = arrays.arrays(np.int64, st.integers(4, 40), elements=st.integers(-5, 5))


@settings(max_examples=60, deadline=None)
@given(real=levels, fake=levels)
def test_auc_properties(real, fake):
    """Invariant under monotone maps, and AUC(s) + AUC(-s) = 1; the variance is the same both ways."""
    maps: list[Callable] = [np.copy, lambda x: np.float32(x) ** 3 + 7, np.negative]
    plain, mapped, turned = (summarise(scores_of(f(real), f(fake)), 0.05) for f in maps)
    assert mapped.auc == pytest.approx(plain.auc, abs=1e-12)
    assert plain.auc + turned.auc == pytest.approx(1.0, abs=1e-12)
    assert mapped.auc_low == pytest.approx(plain.auc_low, abs=1e-12)
    assert turned.auc_high == pytest.approx(1 - plain.auc_low, abs=1e-9)
    assert turned.p_below == pytest.approx(plain.p_above, abs=1e-9)
    assert 0 <= plain.auc_low <= plain.auc <= plain.auc_high <= 1
    score = np.concatenate([real, fake])
    assert auc(score, np.repeat([0, 1], [len(real), len(fake)])) == pytest.approx(plain.auc)
