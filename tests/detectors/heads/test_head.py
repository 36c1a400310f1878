import functools

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from arena.detectors.heads import LinearSvm, Neighbours, PlattScaling, Ridge
from arena.detectors.techniques.fingerprint import FingerprintHead
from arena.detectors.techniques.forest import Trees
from arena.detectors.techniques.oneclass import IsolationForest, Mahalanobis, SupportVectors
from tests.detectors.planted import clouds

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
