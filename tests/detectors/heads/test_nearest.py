import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from arena.detectors.heads import Neighbours, Sample
from arena.detectors.techniques.fingerprint import NORM_FLOOR, FingerprintHead
from tests.detectors.planted import clouds


def residuals(n, seed, amplitude=0.3):
    """Noise, loud in one half of 400 pixels, and in half of the images two generators' fingerprints."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(99).normal(size=(2, 400))
    loudness = np.where(np.arange(400) < 200, 1, 30)
    labels = np.arange(n) % 2
    values = rng.normal(size=(n, 400)) * loudness + amplitude * patterns[labels]
    return Sample(torch.from_numpy(values).float(), torch.from_numpy(labels))


def test_its_logit_is_the_calibrated_difference_of_numpys_correlations():
    train, validation, test = residuals(100, 0), residuals(100, 1), residuals(50, 2)
    head = FingerprintHead()
    head.fit(train, validation, seed=0)
    classes = [train.features[train.labels == label].double().numpy() for label in (0, 1)]
    deviation = np.sqrt(np.mean([residual.var(0) for residual in classes], axis=0) + NORM_FLOOR**2)

    def excess(part):
        scaled = part.features.double().numpy() / deviation
        means = [residual.mean(0) / deviation for residual in classes]
        return np.array([[np.corrcoef(row, mean)[0, 1] for mean in means] for row in scaled]) @ [-1, 1]

    platt = LogisticRegression(C=1e3).fit(excess(validation)[:, None], validation.labels)
    np.testing.assert_allclose(
        head(test.features), platt.decision_function(excess(test)[:, None]), rtol=1e-3, atol=1e-3
    )


def test_loud_pixels_do_not_drown_the_fingerprint():
    train, validation, test = residuals(400, 0), residuals(200, 1), residuals(400, 2)
    head = FingerprintHead()
    head.fit(train, validation, seed=0)
    assert roc_auc_score(test.labels, head(test.features)) > 0.95
    head.deviation = torch.ones_like(head.deviation)
    assert roc_auc_score(test.labels, head(test.features)) < 0.8


def test_an_image_without_residual_has_a_finite_logit_and_gradient():
    head = FingerprintHead()
    head.fit(residuals(100, 0), residuals(100, 1), seed=0)
    nothing = torch.zeros(1, 400, requires_grad=True)
    logit = head(nothing)
    (gradient,) = torch.autograd.grad(logit.sum(), nothing)
    assert logit.isfinite().all()
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def fitted(neighbours=5, fakes=0.5):
    head = Neighbours(neighbours=neighbours)
    head.fit(clouds(300, 3, 0, fakes), clouds(200, 3, 1), seed=0)
    return head


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
    head = Neighbours(neighbours=neighbours)
    head.fit(train, validation, seed=0)
    # Deviations here are those of n - 1 images, and of n in scikit-learn.
    np.testing.assert_allclose(head(test.features), platt.decision_function(nearness(test)), rtol=2e-2, atol=2e-2)


def test_it_ranks_no_worse_than_the_vote_of_as_many_neighbours():
    train, test = clouds(300, 3, 0, apart=0.8), clouds(600, 3, 2, apart=0.8)
    head = Neighbours(neighbours=5)
    head.fit(train, clouds(200, 3, 1, apart=0.8), seed=0)
    scaler = StandardScaler().fit(train.features)
    vote = KNeighborsClassifier(5).fit(scaler.transform(train.features), train.labels)
    votes = vote.predict_proba(scaler.transform(test.features))[:, 1]
    assert roc_auc_score(test.labels, head(test.features)) > roc_auc_score(test.labels, votes)


def test_its_gradient_points_from_the_reals_about_an_image_to_the_fakes_about_it():
    reals, fakes = torch.tensor([[0.0, 0.0], [0.0, 1.0]]), torch.tensor([[4.0, 0.0], [4.0, 1.0]])
    both = Sample(torch.cat([reals, fakes]), torch.tensor([0, 0, 1, 1]))
    head = Neighbours(neighbours=2)
    head.fit(both, both, seed=0)
    where = torch.tensor([[1.0, 0.5], [3.9, 0.5], [4.0, 0.0], [9.0, 7.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(head(where).sum(), where)
    assert (gradient[:, 0] > 0).all()
    torch.testing.assert_close(gradient[:, 1], torch.zeros(4))


def test_a_feature_that_is_the_same_in_every_image_does_no_harm():
    train, validation, test = (
        Sample(torch.cat([part.features, torch.ones(len(part.labels), 1)], 1), part.labels)
        for part in (clouds(300, 3, 0), clouds(200, 3, 1), clouds(100, 3, 2))
    )
    head = Neighbours(neighbours=5)
    head.fit(train, validation, seed=0)
    torch.testing.assert_close(head(test.features), fitted()(test.features[:, :3]), rtol=1e-4, atol=1e-4)


def test_more_neighbours_than_there_are_images_take_all():
    head = Neighbours(neighbours=500)
    head.fit(clouds(30, 3, 0), clouds(30, 3, 1), seed=0)
    test = clouds(100, 3, 2)
    assert roc_auc_score(test.labels, head(test.features)) > 0.9
