import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sklearn_metrics

from arena.metrics.auc import auc, eer, log_loss, summarise, tpr_at_fpr
from arena.records.schema import Scores


def scores_of(real, fake, fold_real=None, fold_fake=None) -> Scores:
    folds = [np.zeros(len(x)) if f is None else f for x, f in ((real, fold_real), (fake, fold_fake))]
    image = np.concatenate([np.arange(len(real)), np.arange(len(fake))])
    return Scores(
        score=np.concatenate([real, fake]).astype(np.float32),
        label=np.repeat([0, 1], [len(real), len(fake)]).astype(np.uint8),
        image=image,
        fold=np.concatenate(folds).astype(np.uint8),
        source=image,
    )


@pytest.fixture(scope="module")
def normal() -> Scores:
    rng = np.random.default_rng(0)
    return scores_of(rng.normal(size=300), rng.normal(0.7, 1.3, size=200))


def test_against_sklearn(normal):
    found = summarise(normal, margin=0.05)
    assert found.auc == pytest.approx(sklearn_metrics.roc_auc_score(normal.label, normal.score), abs=1e-12)
    ap = sklearn_metrics.average_precision_score(normal.label, normal.score)
    assert found.average_precision == pytest.approx(ap, abs=1e-12)
    weight = np.where(normal.label == 1, 1 / 200, 1 / 300)
    share = 1 / (1 + np.exp(-normal.score.astype(float)))
    assert found.log_loss == pytest.approx(sklearn_metrics.log_loss(normal.label, share, sample_weight=weight))
    assert (found.n_real, found.n_fake) == (300, 200)


@pytest.mark.parametrize("decimals", [9, 1, 0])
def test_thresholds_against_brute_force(normal, decimals):
    """Every threshold tried, with no curve; rounded scores tie."""
    normal = normal._replace(score=normal.score.round(decimals))
    real, fake = (normal.score[normal.label == label] for label in (0, 1))
    thresholds = np.append(normal.score, np.inf)
    fpr = (real >= thresholds[:, None]).mean(axis=1)
    tpr = (fake >= thresholds[:, None]).mean(axis=1)
    for limit in (0.01, 0.05):
        assert tpr_at_fpr(normal.score, normal.label, limit) == pytest.approx(tpr[fpr <= limit].max())
    if decimals:  # a curve of few points is straight between them for long
        closest = np.abs(fpr - (1 - tpr)).argmin()
        assert eer(normal.score, normal.label) == pytest.approx(fpr[closest], abs=0.01)


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        ([0.0, 1.0], [2.0, 3.0], {"auc": 1.0, "eer": 0.0, "tpr_at_1pct_fpr": 1.0, "average_precision": 1.0}),
        ([2.0, 3.0], [0.0, 1.0], {"auc": 0.0, "eer": 1.0, "tpr_at_1pct_fpr": 0.0}),
        ([5.0, 5.0], [5.0, 5.0], {"auc": 0.5, "eer": 0.5, "tpr_at_5pct_fpr": 0.0, "average_precision": 0.5}),
        ([0.0, 0.0], [0.0, 0.0], {"log_loss": np.log(2)}),
        ([0.0, 1.0], [1.0, 2.0], {"auc": 0.875}),  # of four pairs three are won and one is tied
    ],
)
def test_conventions(real, fake, expected):
    found = summarise(scores_of(np.array(real), np.array(fake)), margin=0.05)
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value), name


def test_large_logits_have_finite_loss():
    found = log_loss(np.array([-1e4, 1e4, 1e4], dtype=np.float32), np.array([0, 1, 0], dtype=np.uint8))
    assert found == pytest.approx(2500.0)


def test_folds_are_averaged_never_pooled():
    """Each fold separates perfectly on a scale of its own: pooled, the AUC would be 0.5."""
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
    plain, mapped, turned = (summarise(scores_of(f(real), f(fake)), 0.05) for f in (_same, _cubed, np.negative))
    assert mapped.auc == pytest.approx(plain.auc, abs=1e-12)
    assert plain.auc + turned.auc == pytest.approx(1.0, abs=1e-12)
    assert mapped.auc_low == pytest.approx(plain.auc_low, abs=1e-12)
    assert turned.auc_high == pytest.approx(1 - plain.auc_low, abs=1e-9)
    assert turned.p_below == pytest.approx(plain.p_above, abs=1e-9)
    assert 0 <= plain.auc_low <= plain.auc <= plain.auc_high <= 1
    score = np.concatenate([real, fake])
    assert auc(score, np.repeat([0, 1], [len(real), len(fake)])) == pytest.approx(plain.auc)


def _same(x):
    return x


def _cubed(x):
    return np.float32(x) ** 3 + 7
