"""Behaviour of every feature space without pretrained weights."""

import numpy as np
import pytest
import torch

from arena.metrics.features import random as module
from arena.metrics.features.fitted import FittedFeatures
from arena.metrics.features.random import RandomFeatures

SPACES = pytest.mark.parametrize("space", [RandomFeatures(), FittedFeatures()], ids=lambda space: space.name)


@SPACES
def test_features_depend_only_on_the_reference(space, digits):
    features = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        features.append(space.fit(digits[:200])(digits[200:300]))
        assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(*features)
    other = space.fit(digits[300:500])(digits[200:300])
    assert not np.allclose(features[0], other, atol=0.1)


@SPACES
def test_an_images_features_do_not_depend_on_its_batch(space, digits, monkeypatch):
    features = space.fit(digits[:200])
    together = features(digits[:70])
    np.testing.assert_allclose(features(digits[5:6]), together[5:6], atol=1e-4)
    monkeypatch.setattr(module, "CHUNK_PIXELS", 16 * 64)
    np.testing.assert_allclose(features(digits[:70]), together, atol=1e-4)
