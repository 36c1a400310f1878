import numpy as np
import pytest
import torch
import torch.nn.functional as F

from arena.imaging.images import on_levels, to_float, to_uint8
from arena.metrics.features.fitted import FittedFeatures
from arena.metrics.features.random import RandomFeatures
from arena.metrics.kernel_distance import kernel_distance


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
