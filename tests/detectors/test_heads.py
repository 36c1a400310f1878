import functools

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from arena.detectors.heads import PENALTIES, RIDGES, LinearSvm, Neighbours, PlattScaling, Ridge, Sample
from arena.detectors.techniques.fingerprint import FingerprintHead
from arena.detectors.techniques.oneclass import IsolationForest, Mahalanobis, SupportVectors
from arena.detectors.trees import Trees
from tests.detectors.planted import clouds, fitted

HEADS = {
    "svm": LinearSvm,
    "ridge": Ridge,
    "fingerprint": FingerprintHead,
    "neighbours": functools.partial(Neighbours, neighbours=5),
    "mahalanobis": Mahalanobis,
    "support vectors": SupportVectors,
    "isolation forest": IsolationForest,
    "trees": functools.partial(Trees, trees=20, leaves=4, learning_rate=0.1, patience=5),
}


@pytest.fixture
def classes():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4000)
    return torch.from_numpy(rng.normal(size=4000) + 2 * labels - 1).float(), torch.from_numpy(labels)


def test_of_normal_classes_the_logit_is_the_log_odds(classes):
    """The log odds of two normals at -1 and 1 with unit variance are 2 x; any scale and offset is undone."""
    logits, labels = classes
    scaling = PlattScaling.of(5 * logits + 3, labels)
    at = torch.tensor([-1.0, 0.0, 0.5])
    torch.testing.assert_close(scaling.probabilities(5 * at + 3), torch.sigmoid(2 * at.double()), atol=0.03, rtol=0)


def test_it_is_scikit_learns_regression_with_as_many_fakes_as_reals(classes):
    logits, labels = classes
    reference = LogisticRegression(C=np.inf, class_weight="balanced").fit(logits[:, None].numpy(), labels.numpy())
    expected = reference.predict_proba(logits[:, None].numpy())[:, 1]
    np.testing.assert_allclose(PlattScaling.of(logits, labels).probabilities(logits).numpy(), expected, atol=2e-3)


def test_shares_of_fakes_are_the_probabilities(classes):
    logits, labels = classes
    probabilities = PlattScaling.of(logits[:2000] * 7, labels[:2000]).probabilities(logits[2000:] * 7)
    for low in np.arange(0, 1, 0.25):
        inside = (probabilities >= low) & (probabilities < low + 0.25)
        assert abs(probabilities[inside].mean() - labels[2000:][inside].double().mean()) < 0.06


def test_a_new_scaling_leaves_the_logit_as_it_is_and_a_fitted_one_keeps_their_order(classes):
    logits, labels = classes
    torch.testing.assert_close(PlattScaling()(logits[:, None]), logits)
    torch.testing.assert_close(PlattScaling().probabilities(logits), torch.sigmoid(logits.double()))
    fitted, again = PlattScaling.of(-logits, labels), PlattScaling()
    assert fitted.slope > 0
    again.load_state_dict(fitted.state_dict())
    assert torch.equal(again.probabilities(logits), fitted.probabilities(logits))
    torch.testing.assert_close(torch.sigmoid(fitted(logits[:, None]).double()), fitted.probabilities(logits))


@pytest.mark.parametrize("kind", HEADS)
def test_a_new_head_prefers_neither_class_and_takes_the_tensors_of_another(kind):
    head, again, test = HEADS[kind](), HEADS[kind](), clouds(50, 6, 2).features
    assert torch.equal(head(test), torch.zeros(50))
    head.fit(clouds(300, 6, 0), clouds(200, 6, 1), seed=0)
    again.load_state_dict(head.state_dict())
    assert torch.equal(again(test), head(test))


@pytest.mark.parametrize("kind", HEADS)
def test_mixed_precision_changes_no_logit(kind):
    head, test = HEADS[kind](), clouds(50, 6, 2).features
    head.fit(clouds(300, 6, 0), clouds(200, 6, 1), seed=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = head(test)
    assert torch.equal(inside, head(test))


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
    head = fitted(LinearSvm(), train, validation, seed=5)
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
    head = fitted(Ridge(standardised=standardised), train, validation)
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
        head = fitted(Ridge(standardised=standardised), train, validation)
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


@pytest.mark.parametrize("neighbours", [1, 5])
def test_its_logit_is_the_calibrated_difference_of_scikit_learns_squared_distances(neighbours):
    train, validation, test = clouds(300, 3, 0, 0.3), clouds(200, 3, 1), clouds(100, 3, 2)
    scaler = StandardScaler().fit(train.features)

    def nearness(part):
        squared = []
        for label in (0, 1):
            own = scaler.transform(train.features[train.labels == label])
            distances, _ = NearestNeighbors(n_neighbors=neighbours).fit(own).kneighbors(scaler.transform(part.features))
            squared.append((distances**2).mean(1))
        return (squared[0] - squared[1])[:, None]

    platt = LogisticRegression(C=1e3).fit(nearness(validation), validation.labels)
    head = fitted(Neighbours(neighbours=neighbours), train, validation)
    # Deviations here are those of n - 1 images, and of n in scikit-learn.
    np.testing.assert_allclose(head(test.features), platt.decision_function(nearness(test)), rtol=2e-2, atol=2e-2)


def test_it_ranks_no_worse_than_the_vote_of_as_many_neighbours():
    train, test = clouds(300, 3, 0, apart=0.8), clouds(600, 3, 2, apart=0.8)
    head = fitted(Neighbours(neighbours=5), train, clouds(200, 3, 1, apart=0.8))
    scaler = StandardScaler().fit(train.features)
    vote = KNeighborsClassifier(5).fit(scaler.transform(train.features), train.labels)
    votes = vote.predict_proba(scaler.transform(test.features))[:, 1]
    assert roc_auc_score(test.labels, head(test.features)) > roc_auc_score(test.labels, votes)


def test_its_gradient_points_from_the_reals_about_an_image_to_the_fakes_about_it():
    reals, fakes = torch.tensor([[0.0, 0.0], [0.0, 1.0]]), torch.tensor([[4.0, 0.0], [4.0, 1.0]])
    both = Sample(torch.cat([reals, fakes]), torch.tensor([0, 0, 1, 1]))
    head = fitted(Neighbours(neighbours=2), both, both)
    where = torch.tensor([[1.0, 0.5], [3.9, 0.5], [4.0, 0.0], [9.0, 7.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(head(where).sum(), where)
    assert (gradient[:, 0] > 0).all()
    torch.testing.assert_close(gradient[:, 1], torch.zeros(4))


def test_a_feature_that_is_the_same_in_every_image_does_no_harm():
    train, validation, test = (
        Sample(torch.cat([part.features, torch.ones(len(part.labels), 1)], 1), part.labels)
        for part in (clouds(300, 3, 0), clouds(200, 3, 1), clouds(100, 3, 2))
    )
    head = fitted(Neighbours(neighbours=5), train, validation)
    torch.testing.assert_close(
        head(test.features),
        fitted(Neighbours(neighbours=5), clouds(300, 3, 0), clouds(200, 3, 1))(test.features[:, :3]),
        rtol=1e-4,
        atol=1e-4,
    )


def test_more_neighbours_than_there_are_images_take_all():
    head = fitted(Neighbours(neighbours=500), clouds(30, 3, 0), clouds(30, 3, 1))
    test = clouds(100, 3, 2)
    assert roc_auc_score(test.labels, head(test.features)) > 0.9
