"""Feature spaces of an untrained network."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from arena.data.digits import Digits
from arena.imaging.images import on_levels, to_float, to_uint8
from arena.metrics.distances import kernel_distance
from arena.metrics.features import untrained as module
from arena.metrics.features.untrained import FittedFeatures, RandomFeatures

SPACES = pytest.mark.parametrize("space", [RandomFeatures(), FittedFeatures()], ids=lambda space: space.name)


@pytest.fixture(scope="module")
def digits():
    return Digits(resolution=8, seed=0, planted_amplitude=2).reals.images


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


@pytest.mark.parametrize(("channels", "resolution"), [(1, 8), (3, 32), (1, 64)])
def test_the_reference_is_white(channels, resolution):
    """Components are uncorrelated and have unit variance: fine detail counts as much as coarse."""
    base = torch.rand(160, channels, 8, 8, generator=torch.Generator().manual_seed(0))
    reference = to_uint8(F.interpolate(base, size=(resolution, resolution), mode="bilinear") * 2 - 1)
    d = 160 // 8
    features = FittedFeatures(width=8).fit(reference)(reference)
    assert features.shape == (160, d)
    assert features.dtype == np.float32
    length = (features**2).sum(1, keepdims=True)
    white = features * np.sqrt(d / (2 * d - length))  # before the length was bounded
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(white.T), np.eye(d), atol=0.02)
    np.testing.assert_allclose(np.median(length), d, rtol=0.1)


def test_the_length_of_an_extreme_image_is_bounded(digits):
    features = FittedFeatures().fit(digits[:400])
    noise = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    near, far = ((features(images) ** 2).mean(1) for images in (digits[400:], noise))
    assert far.max() < 2
    assert far.min() > np.median(near)


@pytest.mark.parametrize(("n", "components", "expected"), [(100, 64, 12), (1000, 64, 64), (1000, 10, 10), (5, 64, 1)])
def test_components_stay_few_beside_the_reals(digits, n, components, expected):
    assert FittedFeatures(components=components).fit(digits[:n])(digits[:3]).shape == (3, expected)


def test_constant_reals_give_finite_features():
    flat = torch.full((64, 1, 8, 8), 100, dtype=torch.uint8)
    features = FittedFeatures().fit(flat)
    assert np.isfinite(features(torch.cat([flat[:2], flat[:2] + 50]))).all()


DAMAGES = {
    "noise": lambda x: x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)),
    "checkerboard": lambda x: x + 0.125 * (torch.arange(8)[:, None] + torch.arange(8)).remainder(2).mul(2).sub(1),
    "contrast": lambda x: 0.93 * (x + 1) - 1,
    "halves of different digits": lambda x: torch.cat([x[..., :4], x.roll(1, 0)[..., 4:]], dim=-1),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_slight_damage_is_clearer_than_in_random_features(digits, damage):
    """Measured in standard errors of the kernel distance, relative to undamaged reals."""
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))  # they are sorted by writer
    reference, reals = digits[order[:600]], digits[order[600:1200]]
    damaged = to_uint8(on_levels(DAMAGES[damage](to_float(reals)), 17))
    away = {}
    for space in (FittedFeatures(), RandomFeatures()):
        features = space.fit(reference)
        distance, null = (kernel_distance(features(reference), features(images)) for images in (damaged, reals))
        assert abs(null.value) < 3 * null.error
        away[space.name] = (distance.value - null.value) / distance.error
    assert away["fitted"] > 5
    assert away["fitted"] > 1.3 * away["random"]
