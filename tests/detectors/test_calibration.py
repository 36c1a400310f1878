import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from arena.detectors.calibration import Calibration


@pytest.fixture
def classes():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4000)
    return torch.from_numpy(rng.normal(size=4000) + 2 * labels - 1).float(), torch.from_numpy(labels)


def test_of_normal_classes_the_logit_is_the_log_odds(classes):
    """Of two normals at -1 and 1 with unit variance the log odds are 2 x: any scale and offset is taken back."""
    logits, labels = classes
    calibrated = Calibration.of(5 * logits + 3, labels)
    at = torch.tensor([-1.0, 0.0, 0.5])
    torch.testing.assert_close(calibrated(5 * at + 3), torch.sigmoid(2 * at.double()), atol=0.03, rtol=0)


def test_it_is_platts_as_scikit_learn_fits_it_with_as_many_fakes_as_reals(classes):
    logits, labels = classes
    reference = LogisticRegression(C=np.inf, class_weight="balanced").fit(logits[:, None].numpy(), labels.numpy())
    expected = reference.predict_proba(logits[:, None].numpy())[:, 1]
    np.testing.assert_allclose(Calibration.of(logits, labels)(logits).numpy(), expected, atol=2e-3)


def test_shares_of_fakes_are_what_the_probabilities_say(classes):
    logits, labels = classes
    found = Calibration.of(logits[:2000] * 7, labels[:2000])(logits[2000:] * 7)
    for low in np.arange(0, 1, 0.25):
        bin = (found >= low) & (found < low + 0.25)
        assert abs(found[bin].mean() - labels[2000:][bin].double().mean()) < 0.06


def test_a_new_one_leaves_the_logit_as_it_is_and_is_what_its_tensors_say(classes):
    logits, labels = classes
    torch.testing.assert_close(Calibration()(logits), torch.sigmoid(logits.double()))
    again, fitted = Calibration(), Calibration.of(logits, labels)
    again.load_state_dict(fitted.state_dict())
    assert torch.equal(again(logits), fitted(logits))
