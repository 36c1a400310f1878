import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from arena.core.errors import ArenaError
from arena.detectors.heads.head import Sample
from arena.detectors.heads.linear import Neighbours
from tests.detectors.fitted import clouds


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
            of = scaler.transform(train.features[train.labels == label])
            distances, _ = NearestNeighbors(n_neighbors=neighbours).fit(of).kneighbors(scaler.transform(part.features))
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


def test_a_new_instance_takes_its_tensors_and_before_it_prefers_neither_class():
    head, again, test = fitted(), Neighbours(neighbours=5), clouds(50, 3, 2).features
    assert torch.equal(again(test), torch.zeros(50))
    again.load_state_dict(head.state_dict())
    assert torch.equal(again(test), head(test))


def test_an_impossible_number_of_neighbours_names_its_key():
    with pytest.raises(ArenaError, match=r"neighbours=0: expected at least 1"):
        Neighbours(neighbours=0)
