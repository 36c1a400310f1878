import numpy as np
import pytest
import torch

from arena.data.digits import Digits
from arena.metrics import features as module
from arena.metrics.features import RandomFeatures, at_half_resolution
from arena.metrics.kernel_distance import kernel_distance


@pytest.fixture(scope="module")
def digits():
    return Digits(resolution=8, seed=0, planted_amplitude=2).reals.images


def test_features_hang_on_the_reference_alone(digits):
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        found.append(RandomFeatures(digits[:200])(digits[200:300]))
        assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(*found)
    assert not np.array_equal(found[0], RandomFeatures(digits[300:500])(digits[200:300]))


def test_an_images_features_do_not_depend_on_its_chunk(digits, monkeypatch):
    features = RandomFeatures(digits[:200])
    together = features(digits[:70])
    monkeypatch.setattr(module, "BATCH", 16)
    np.testing.assert_allclose(features(digits[:70]), together, atol=1e-4)


@pytest.mark.parametrize(("channels", "resolution"), [(1, 8), (3, 32), (1, 64)])
def test_every_feature_that_stirs_is_standardised_by_the_reference(channels, resolution):
    reference = torch.randint(0, 256, (100, channels, resolution, resolution), dtype=torch.uint8)
    features = RandomFeatures(reference, width=8)
    found, stirs = features(reference), (features.deviation > features.deviation.min()).numpy()
    assert stirs.mean() > 0.5
    assert found.dtype == np.float32
    assert found.shape[0] == 100
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(found[:, stirs].std(0, ddof=1), 1, atol=1e-2)
    assert (found.std(0, ddof=1) < 1.01).all()


def test_a_feature_that_the_reference_never_stirs_does_not_drown_the_others(digits):
    features = RandomFeatures(digits[:400])
    assert (features(digits[:400]).std(0) < 1e-3).any()  # there are such features in digits: corners are always black
    noise = torch.randint(0, 256, (100, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert np.abs(features(noise)).max() < 50


def test_half_the_resolution_is_farther_away_than_fresh_reals(digits):
    features = RandomFeatures(digits[:600])
    reals, fresh = features(digits[:600]), features(digits[600:1200])
    blurred = features(at_half_resolution(digits[600:1200]))
    near, far = kernel_distance(reals, fresh), kernel_distance(reals, blurred)
    assert far.value > 10 * abs(near.value)
    assert far.value - near.value > 5 * (near.error + far.error)


def test_half_resolution_keeps_what_is_flat_and_loses_what_is_finest():
    flat = torch.full((2, 3, 16, 16), 77, dtype=torch.uint8)
    assert torch.equal(at_half_resolution(flat), flat)
    stripes = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    stripes[..., ::2] = 255
    blurred = at_half_resolution(stripes)
    assert blurred.dtype == torch.uint8
    assert blurred.shape == stripes.shape
    assert (blurred[..., 2:-2].float() - 127.5).abs().max() < 8
