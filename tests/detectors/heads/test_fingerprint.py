import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from arena.detectors.heads.head import Sample
from arena.detectors.heads.linear import NORM_FLOOR, FingerprintHead


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
    deviation = np.sqrt(np.mean([of.var(0) for of in classes], axis=0) + NORM_FLOOR**2)

    def excess(part):
        scaled = part.features.double().numpy() / deviation
        return np.array([[np.corrcoef(row, of.mean(0) / deviation)[0, 1] for of in classes] for row in scaled]) @ [
            -1,
            1,
        ]

    platt = LogisticRegression(C=1e3).fit(excess(validation)[:, None], validation.labels)
    np.testing.assert_allclose(
        head(test.features), platt.decision_function(excess(test)[:, None]), rtol=1e-3, atol=1e-3
    )


def test_what_is_loud_does_not_drown_the_fingerprint():
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


def test_a_new_instance_takes_its_tensors_and_before_it_prefers_neither_class():
    head, again, test = FingerprintHead(), FingerprintHead(), residuals(50, 2).features
    head.fit(residuals(100, 0), residuals(100, 1), seed=0)
    assert torch.equal(again(test), torch.zeros(50))
    again.load_state_dict(head.state_dict())
    assert torch.equal(again(test), head(test))
