import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from arena.detectors.trees import LEAF, Trees
from tests.detectors.planted import clouds, fitted


def boosted(trees=40, leaves=8, patience=15):
    return Trees(trees=trees, leaves=leaves, learning_rate=0.1, patience=patience)


@pytest.mark.parametrize("fakes", [0.5, 0.2])
@pytest.mark.parametrize("leaves", [2, 8])
def test_walking_the_trees_is_scikit_learns_decision_function(fakes, leaves):
    train, validation, test = clouds(600, 6, 0, fakes), clouds(300, 6, 1), clouds(200, 6, 2)
    mine = fitted(boosted(leaves=leaves), train, validation, seed=3)
    theirs = HistGradientBoostingClassifier(
        max_iter=40,
        max_leaf_nodes=leaves,
        learning_rate=0.1,
        early_stopping=True,  # type: ignore[arg-type]  # typed after its default
        n_iter_no_change=15,
        random_state=3,
    ).fit(train.features.numpy(), train.labels.numpy(), X_val=validation.features.numpy(), y_val=validation.labels)
    assert theirs.n_iter_ > 5
    # The prior of the training set is taken out again.
    expected = theirs.decision_function(test.features.numpy()) - np.log(fakes / (1 - fakes))
    np.testing.assert_allclose(mine(test.features), expected, rtol=1e-6, atol=1e-6)


def test_more_trees_than_it_grew_add_nothing():
    train, validation, test = clouds(300, 6, 0), clouds(300, 6, 1), clouds(200, 6, 2)
    logits = []
    for trees in (300, 400):
        mine = fitted(boosted(trees, leaves=4, patience=2), train, validation)
        grown = int((mine.nodes[:, 0, LEAF] == 0).sum())
        assert 2 < grown < 300
        logits.append(mine(test.features))
    assert torch.equal(*logits)


def test_a_value_on_the_threshold_goes_left_as_in_scikit_learn():
    one = boosted(trees=1, leaves=2)
    # Columns: feature, threshold, left, right, value, leaf.
    one.nodes.copy_(torch.tensor([[[1, 8.0, 1, 2, 0, 0], [0, 0, 0, 0, -1.0, 1], [0, 0, 0, 0, 1.0, 1]]]))
    assert one(torch.tensor([[0.0, 8.0], [0.0, 8.5]])).tolist() == [-1.0, 1.0]
