import numpy as np
import pytest
import torch

from arena.metrics.features import random as module
from arena.metrics.features.random import RandomFeatures


@pytest.mark.parametrize(("channels", "resolution"), [(1, 8), (3, 32), (1, 64)])
def test_varying_features_are_standardised_by_the_reference(channels, resolution):
    reference = torch.randint(0, 256, (100, channels, resolution, resolution), dtype=torch.uint8)
    features = RandomFeatures(width=8).fit(reference)(reference)
    deviation = features.std(0, ddof=1)
    varies = deviation > 0.99
    assert varies.mean() > 0.5
    assert features.dtype == np.float32
    assert features.shape[0] == 100
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(deviation[varies], 1, atol=1e-2)
    assert (deviation < 1.01).all()


def test_a_feature_that_is_constant_on_the_reference_does_not_dominate(digits):
    features = RandomFeatures().fit(digits[:400])
    assert (features(digits[:400]).std(0) < 1e-3).any()  # corners of digits are always black
    noise = torch.randint(0, 256, (100, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert np.abs(features(noise)).max() < 50


def test_chunks_hold_as_many_pixels_at_any_size(monkeypatch):
    monkeypatch.setattr(module, "CHUNK_PIXELS", 256)
    assert [len(chunk) for chunk in module.chunks(torch.zeros(9, 1, 8, 8))] == [4, 4, 1]
    assert [len(chunk) for chunk in module.chunks(torch.zeros(2, 1, 32, 32))] == [1, 1]
