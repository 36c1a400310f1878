"""Soft features: the hard ones on whole grey levels, continuous between them, with finite gradients."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from arena.detectors.base import FittedDetector
from arena.detectors.soft import places, soft_luma_chroma, soft_root
from arena.detectors.techniques.colour import luma_chroma
from arena.imaging.images import on_levels, to_float
from tests.detectors.planted import TECHNIQUES, build, build_a, noise

SOFT = [name for name in TECHNIQUES if isinstance(one := build(name, 32, 3, 256), FittedDetector) and one.soft]
SHAPES = ((8, 1, 17), (8, 3, 256), (16, 1, 2), (16, 3, 256))


def dithered(images, levels, seed=0):
    """The images with uniform noise of one grey level."""
    return images + noise(*images.shape, seed=seed) / (levels - 1)


def test_every_technique_of_counts_has_soft_features():
    assert {"dctr", "forest", "rich"} <= set(SOFT)


@pytest.mark.parametrize("technique", SOFT)
@pytest.mark.parametrize(("side", "channels", "levels"), SHAPES)
def test_on_whole_levels_they_equal_the_features(technique, side, channels, levels):
    detector = build_a(FittedDetector, technique, side, channels, levels)
    images = on_levels(
        noise(6, channels, side, side) * torch.tensor([1, 0.3, 0.1, 0.03, 0.01, 0])[:, None, None, None], levels
    )
    images[-1] = -1
    torch.testing.assert_close(detector.soft_features(images), detector.features(images), rtol=1e-5, atol=2e-5)


@settings(max_examples=12, deadline=None)
@given(arrays(np.uint8, (2, 3, 8, 8), elements=st.integers(0, 255)), st.integers(0, 2))
@pytest.mark.parametrize("technique", ["dctr", "rich"])
def test_of_any_bytes_they_equal_the_features(technique, pixels, shift):
    """Few distinct bytes, as hypothesis likes them, and differences of few levels."""
    images = to_float(torch.from_numpy(pixels >> (2 * shift)))
    detector = build_a(FittedDetector, technique, 8, 3, 256)
    torch.testing.assert_close(detector.soft_features(images), detector.features(images), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("technique", ["dctr", "rich"])
@pytest.mark.parametrize(("side", "channels", "levels"), SHAPES)
def test_they_are_continuous_from_one_whole_image_to_another(technique, side, channels, levels):
    """Half the step moves them half as far: a jump would stay."""
    detector = build_a(FittedDetector, technique, side, channels, levels)
    one = on_levels(noise(2, channels, side, side) * 0.2, levels)
    other = on_levels(one + noise(*one.shape, seed=1).sign() * 2 / (levels - 1), levels)

    def largest_move(steps):
        way = torch.cat([one.lerp(other, float(t)) for t in torch.linspace(0, 1, steps + 1)])
        path = detector.soft_features(way).unflatten(0, (steps + 1, 2))
        return float((path[1:] - path[:-1]).norm(dim=2).max())

    coarse, fine = largest_move(8), largest_move(64)
    assert fine < coarse / 3


@pytest.mark.parametrize("technique", SOFT)
@pytest.mark.parametrize(("side", "channels", "levels"), SHAPES)
def test_gradients_are_finite_and_reach_every_dithered_image(technique, side, channels, levels):
    detector = build_a(FittedDetector, technique, side, channels, levels)
    whole = on_levels(noise(4, channels, side, side) * 0.2, levels)
    flat = torch.full_like(whole, 0.5)
    for images, slopes in ((dithered(whole, levels), True), (whole, False), (on_levels(flat, levels), False)):
        leaf = images.clone().requires_grad_()
        features = detector.soft_features(leaf)
        weights = noise(*features.shape, seed=1)
        (gradient,) = torch.autograd.grad((features * weights).sum(), leaf)
        assert gradient.isfinite().all()
        if slopes:
            assert (gradient.flatten(1).norm(dim=1) > 0).all()


@pytest.mark.parametrize("technique", ["dctr", "rich"])
def test_descent_on_them_brings_the_hard_features_of_noise_nearer_to_those_of_a_softer_one(technique):
    """The gradient of the twin is of use for the counts."""
    detector = build_a(FittedDetector, technique, 16, 1, 256)
    target = detector.features(on_levels(noise(64, 1, 16, 16) * 0.02, 256)).mean(0)
    start = noise(8, 1, 16, 16, seed=1) * 0.06
    images = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([images], lr=4e-3)
    for step in range(12):
        distance = (detector.soft_features(dithered(images, 256, seed=step)).mean(0) - target).square().sum()
        optimizer.zero_grad()
        distance.backward()
        optimizer.step()

    def away(images):
        return float((detector.features(on_levels(images, 256)).mean(0) - target).square().sum())

    assert away(images.detach()) < 0.7 * away(start)


def test_places_are_exact_on_whole_levels_and_keep_the_slope():
    for levels in (2, 17, 256):
        whole = torch.arange(levels, dtype=torch.float32).reshape(1, 1, 1, -1)
        images = (whole / ((levels - 1) / 2) - 1).requires_grad_()
        assert torch.equal(places(images, levels), whole)
        (gradient,) = torch.autograd.grad(places(images, levels).sum(), images)
        torch.testing.assert_close(gradient, torch.full_like(gradient, (levels - 1) / 2))


def test_luma_of_whole_levels_is_rounded_as_it_is_everywhere_halves_included():
    """Weights of luma are thousandths, so that a luma is at a half for one colour in a thousand."""
    halves = [colour for colour in itertools.product(range(0, 256, 5), repeat=3) if _thousandths(colour) == 500]
    assert len(halves) > 50
    pixels = torch.tensor(halves, dtype=torch.uint8)
    images = to_float(torch.cat([pixels, torch.randint(0, 256, (1000, 3), dtype=torch.uint8)]).T[None, :, None])
    assert torch.equal(soft_luma_chroma(images, 256), luma_chroma(images, 256).round())


def _thousandths(colour):
    return sum(weight * value for weight, value in zip((299, 587, 114), colour, strict=True)) % 1000


def test_luma_between_levels_is_the_mean_over_roundings_up_or_down():
    rng = torch.Generator().manual_seed(0)
    levels = torch.tensor([100.3, 51.6, 200.25])
    up = torch.rand(200_000, 3, generator=rng) < levels.frac()
    rounded = ((levels.floor() + up) / 127.5 - 1).T[None, :, None]
    expected = luma_chroma(rounded, 256).round().mean((0, 2, 3))
    computed = soft_luma_chroma((levels / 127.5 - 1)[None, :, None, None], 256).flatten()
    torch.testing.assert_close(computed, expected, rtol=0, atol=0.01)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_the_soft_root_is_the_root_of_whole_counts_and_has_a_bounded_slope(count, above):
    counts = torch.tensor([float(count), count + above], requires_grad=True)
    roots = soft_root(counts)
    assert roots[0] == torch.tensor(float(count)).sqrt()
    (slope,) = torch.autograd.grad(roots.sum(), counts)
    assert ((slope > 0) & (slope <= 1)).all()
