import functools

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest as SklearnForest
from sklearn.metrics import roc_auc_score
from sklearn.svm import OneClassSVM

from arena.core.errors import ArenaError, DoesNotApply
from arena.detectors.base import FittedDetector
from arena.detectors.heads import Sample
from arena.detectors.techniques.colour import Colour
from arena.detectors.techniques.dct import Dct
from arena.detectors.techniques.oneclass import (
    FeatureTechnique,
    IsolationForest,
    Mahalanobis,
    Method,
    OneClass,
    SupportVectors,
    mean_cuts,
)
from arena.detectors.techniques.spectrum import Spectrum
from tests.detectors.planted import build_a, clouds, digits, fit, fitted, logits

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
    head = fitted(kind(), train, validation, seed=7)
    mean, deviation = train.features.mean(0), train.features.std(0)
    x, x_validation, x_test = (((part.features - mean) / deviation).numpy() for part in (train, validation, test))
    held_out = distance(kind, x, x_validation)
    expected = (distance(kind, x, x_test) - held_out.mean()) / held_out.std(ddof=1)
    np.testing.assert_allclose(head(test.features), expected, rtol=1e-4, atol=1e-4)


@every_head
def test_unseen_fakes_lie_farther_than_the_reals(kind):
    head = fitted(kind(), clouds(400, 6, 0, fakes=0), clouds(200, 6, 1, fakes=0))
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
    head = fitted(Mahalanobis(), train, validation)
    along, against = head(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    assert along < 1
    assert against > 5


@pytest.mark.parametrize(("kind", "smooth"), [(Mahalanobis, True), (SupportVectors, True), (IsolationForest, False)])
def test_the_gradient_it_has(kind, smooth):
    head = fitted(kind(), clouds(300, 6, 0, fakes=0), clouds(200, 6, 1, fakes=0))
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


SPECTRUM = functools.partial(Spectrum, epsilon=1e-3)


def oneclass(method: Method = "mahalanobis", of: FeatureTechnique = SPECTRUM) -> OneClass:
    return OneClass(resolution=8, channels=1, levels=17, of=of, method=method)


def test_its_features_and_gradient_are_those_of_the_technique_it_uses():
    images = torch.rand(3, 1, 8, 8) * 2 - 1
    assert torch.equal(oneclass().features(images), build_a(FittedDetector, "spectrum").features(images))
    assert oneclass().differentiable
    assert oneclass("svm").differentiable
    assert not oneclass("forest").differentiable
    assert not build_a(FittedDetector, "oneclass").differentiable


def test_the_others_head_is_no_part_of_it():
    assert all(name.startswith("head.") for name in oneclass().state_dict())
    assert all(name.startswith("head.") for name in build_a(FittedDetector, "oneclass").state_dict())


def forest(*, resolution, channels, levels):
    return build_a(FittedDetector, "forest", resolution, channels, levels)


@pytest.mark.parametrize(("method", "auc"), [("mahalanobis", 0.9), ("svm", 0.9), ("forest", 0.75)])
def test_every_method_detects_unseen_fakes(method, auc):
    """Trees that cut one feature at a time see less of a pattern that is spread over many."""
    learned, validation, test = digits("oneclass")
    detector = oneclass(method, of=forest)
    fit(detector, learned, validation)
    assert roc_auc_score(test.labels, logits(detector, test)) > auc


def test_it_applies_where_the_other_technique_does():
    with pytest.raises(DoesNotApply, match="needs three channels"):
        oneclass(of=functools.partial(Colour, thresholds=[0.0]))


def test_a_technique_without_features_or_not_fully_described_is_refused():
    learned = functools.partial(Dct, epsilon=1e-3)
    with pytest.raises(ArenaError, match=r"^of=Dct: expected a technique of features under a head"):
        oneclass(of=learned)  # type: ignore[arg-type]  # what a config may hold
    with pytest.raises(ArenaError, match=r"^of\._target_: cannot be built \(.*epsilon"):
        oneclass(of=Spectrum)  # type: ignore[arg-type]
