import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from arena.detectors.heads import PENALTIES, RIDGES, LinearSvm, Ridge, Sample
from tests.detectors.planted import clouds


def weights(labels):
    """Both classes count the same."""
    share = labels.mean()
    return np.where(labels == 1, 0.5 / share, 0.5 / (1 - share))


def best_by_platt(margins, validation):
    """Calibrated test margins of least validation loss, among pairs of margins on validation and on test."""
    labels = validation.labels.numpy()
    candidates = []
    for margin, margin_test in margins:
        platt = LogisticRegression(C=1e3).fit(margin[:, None], labels, sample_weight=weights(labels))
        loss = log_loss(labels, platt.predict_proba(margin[:, None])[:, 1], sample_weight=weights(labels))
        candidates.append((loss, platt.decision_function(margin_test[:, None])))
    return min(candidates, key=lambda pair: pair[0])[1]


def test_a_machines_logit_is_the_platt_scaled_margin_of_the_best_svm_on_validation():
    # Uneven classes, so that the weights of both fits matter.
    train, validation, test = clouds(300, 8, 0, 0.3, 0.5), clouds(200, 8, 1, 0.6, 0.5), clouds(100, 8, 2, 0.5, 0.5)
    head = LinearSvm()
    head.fit(train, validation, seed=5)
    margins = []
    for penalty in PENALTIES:
        linear = LinearSVC(
            C=penalty,
            class_weight="balanced",
            dual=False,  # type: ignore[arg-type]  # typed after its default
            max_iter=10_000,
        )
        svm = make_pipeline(StandardScaler(), linear).fit(train.features, train.labels)
        margins.append((svm.decision_function(validation.features), svm.decision_function(test.features)))
    np.testing.assert_allclose(head(test.features), best_by_platt(margins, validation), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("features", [20, 400], ids=["fewer features than images", "more features than images"])
@pytest.mark.parametrize("standardised", [True, False])
def test_a_ridges_logit_is_the_platt_scaled_value_of_the_best_weighted_regression_on_validation(features, standardised):
    train, validation, test = (
        Sample(part.features / (1 if standardised else 30), part.labels)
        for part in (clouds(150, features, 0, 0.3, 0.3), clouds(100, features, 1, 0.6, 0.3), clouds(80, features, 2))
    )
    head = Ridge(standardised=standardised)
    head.fit(train, validation, seed=0)
    scaler = StandardScaler(with_std=standardised).fit(train.features)
    x, labels = np.asarray(scaler.transform(train.features)), train.labels.numpy()
    balanced = weights(labels)
    centred = (x - np.average(x, axis=0, weights=balanced)) * np.sqrt(balanced)[:, None]
    scale = np.square(centred).sum() / min(centred.shape)  # mean eigenvalue of the smaller of both Gram matrices
    margins = []
    for ridge in RIDGES:
        theirs = SklearnRidge(alpha=ridge * scale).fit(x, 2.0 * labels - 1, sample_weight=balanced)
        margins.append([theirs.predict(scaler.transform(part.features)) for part in (validation, test)])
    np.testing.assert_allclose(head(test.features), best_by_platt(margins, validation), rtol=1e-3, atol=1e-3)


def test_without_standardisation_a_feature_that_hardly_varies_hardly_counts():
    train, validation, test = clouds(200, 4, 0, apart=0), clouds(200, 4, 1, apart=0), clouds(200, 4, 2, apart=0)
    for part in (train, validation, test):
        part.features[:, 0] = 1e-4 * (part.labels + 0.1 * torch.randn(200, generator=torch.Generator().manual_seed(0)))
    aucs = {}
    for standardised in (True, False):
        head = Ridge(standardised=standardised)
        head.fit(train, validation, seed=0)
        aucs[standardised] = roc_auc_score(test.labels, head(test.features))
    assert aucs[True] > 0.99
    assert aucs[False] < 0.7


@pytest.mark.parametrize("head", [LinearSvm(), Ridge()], ids=["machine", "ridge"])
class TestAnyLinearHead:
    def test_a_margin_that_validation_contradicts_keeps_its_sign(self, head):
        train, validation, test = clouds(300, 5, 0), clouds(100, 5, 1), clouds(300, 5, 2)
        head.fit(train, Sample(validation.features, 1 - validation.labels), seed=0)
        assert roc_auc_score(test.labels, head(test.features)) > 0.8

    def test_fitting_leaves_the_features_as_they_are(self, head):
        train, validation = clouds(100, 5, 0), clouds(100, 5, 1)
        before = train.features.clone()
        head.fit(train, validation, seed=0)
        assert torch.equal(train.features, before)
