import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest as SklearnForest
from sklearn.metrics import roc_auc_score
from sklearn.svm import OneClassSVM

from arena.detectors.heads import Sample
from arena.detectors.techniques.oneclass import IsolationForest, Mahalanobis, SupportVectors, mean_cuts
from tests.detectors.planted import clouds

HEADS = [Mahalanobis, SupportVectors, IsolationForest]
every_head = pytest.mark.parametrize("kind", HEADS, ids=lambda kind: kind.__name__)


def distance(kind, x, test):
    """scikit-learn's distance of test features from training features, both standardised."""
    if kind is Mahalanobis:
        return np.sqrt(LedoitWolf(assume_centered=True).fit(x).mahalanobis(test))
    if kind is SupportVectors:
        return -OneClassSVM(nu=0.1, gamma=1 / x.shape[1]).fit(x).decision_function(test)
    return -SklearnForest(n_estimators=100, random_state=7).fit(x).score_samples(test)


@every_head
def test_its_logit_is_scikit_learns_distance_in_deviations_of_validations(kind):
    train, validation, test = clouds(400, 6, 0, fakes=0), clouds(200, 6, 1, fakes=0), clouds(100, 6, 2, apart=2)
    head = kind()
    head.fit(train, validation, seed=7)
    mean, deviation = train.features.mean(0), train.features.std(0)
    x, x_validation, x_test = (((part.features - mean) / deviation).numpy() for part in (train, validation, test))
    held_out = distance(kind, x, x_validation)
    expected = (distance(kind, x, x_test) - held_out.mean()) / held_out.std(ddof=1)
    np.testing.assert_allclose(head(test.features), expected, rtol=1e-4, atol=1e-4)


@every_head
def test_unseen_fakes_lie_farther_than_the_reals(kind):
    head = kind()
    head.fit(clouds(400, 6, 0, fakes=0), clouds(200, 6, 1, fakes=0), seed=0)
    test = clouds(300, 6, 2, apart=3)
    logits = head(test.features)
    assert roc_auc_score(test.labels, logits) > 0.95
    assert abs(float(logits[test.labels == 0].mean())) < 0.3
    assert float(logits[test.labels == 0].std()) == pytest.approx(1, abs=0.3)


@every_head
def test_fakes_among_the_training_images_have_no_effect(kind):
    both, alone = kind(), kind()
    train, validation = clouds(300, 6, 0), clouds(200, 6, 1)
    both.fit(train, validation, seed=0)
    reals = [Sample(part.features[part.labels == 0], part.labels[part.labels == 0]) for part in (train, validation)]
    alone.fit(*reals, seed=0)
    test = clouds(50, 6, 2).features
    assert torch.equal(both(test), alone(test))


def test_a_mahalanobis_distance_sees_what_no_feature_shows_alone():
    rng = np.random.default_rng(0)
    reals = rng.multivariate_normal([0, 0], [[1, 0.99], [0.99, 1]], size=600)
    train, validation = (Sample(torch.from_numpy(part), torch.zeros(300).long()) for part in (reals[:300], reals[300:]))
    head = Mahalanobis()
    head.fit(train, validation, seed=0)
    along, against = head(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    assert along < 1
    assert against > 5


@pytest.mark.parametrize(("kind", "smooth"), [(Mahalanobis, True), (SupportVectors, True), (IsolationForest, False)])
def test_the_gradient_it_has(kind, smooth):
    head = kind()
    head.fit(clouds(300, 6, 0, fakes=0), clouds(200, 6, 1, fakes=0), seed=0)
    features = clouds(20, 6, 2).features.requires_grad_()
    logits = head(features)
    assert logits.requires_grad == smooth
    if smooth:
        (gradient,) = torch.autograd.grad(logits.sum(), features)
        assert gradient.isfinite().all()
        assert (gradient.norm(dim=1) > 0).all()


def test_mean_cuts_of_few_images_by_hand():
    # One image is set apart already, two by one cut; of more, 2 H(n - 1) - 2 (n - 1) / n with H(i) = ln i + 0.5772.
    expected = [0, 1, 2 * (np.log(2) + 0.5772156649) - 4 / 3, 2 * (np.log(255) + 0.5772156649) - 510 / 256]
    np.testing.assert_allclose(mean_cuts(np.array([1, 2, 3, 256])), expected, rtol=1e-9)
