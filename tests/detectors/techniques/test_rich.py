import itertools

import numpy as np
import pytest
import torch

from arena.detectors.base import FittedDetector
from arena.detectors.techniques.rich import CLASSES, Rich, mirrored, quantised, runs
from arena.imaging.images import on_levels
from tests.detectors.planted import build_a

# First, second and third differences of the spatial rich model (Fridrich & Kodovsky 2012, figure 2).
KERNELS = {1: (-1, 1), 2: (1, -2, 1), 3: (-1, 3, -3, 1)}


def rich(channels=1, levels=256, resolution=16, steps=(1.0, 2.0), chroma_step=1.0):
    return Rich(resolution=resolution, channels=channels, levels=levels, steps=list(steps), chroma_step=chroma_step)


def noise(n=3, channels=1, side=16, levels=256, spread=0.03):
    rng = torch.Generator().manual_seed(0)
    return on_levels((spread * torch.randn(n, channels, side, side, generator=rng)).clamp(-1, 1), levels)


def by_hand(pixels, kernel, step, along):
    """Counts of each run (a dict) in one plane (H, W), its mirror image taken as one with it."""
    residual = np.stack([np.convolve(row, kernel[::-1], "valid") for row in pixels])
    symbols = np.clip(np.rint(residual / (step * (len(kernel) - 1))), -2, 2).astype(int) + 2
    counts: dict[tuple[int, ...], int] = {}
    for line in symbols if along else symbols.T:
        for start in range(len(line) - 3):
            run = tuple(line[start : start + 4].tolist())
            counts[min(run, run[::-1])] = counts.get(min(run, run[::-1]), 0) + 1
    return counts


def test_a_grey_images_features_are_counted_by_hand():
    images = noise()
    computed = rich().features(images).square().reshape(3, 3, 2, 2, CLASSES)
    runs_in_order = sorted({min(run, run[::-1]) for run in itertools.product(range(5), repeat=4)})
    for image, features in zip((images[:, 0].numpy() + 1) * 127.5, computed.numpy(), strict=True):
        pixels = np.rint(image)
        for (order, kernel), (k, step), along in itertools.product(
            KERNELS.items(), enumerate((1.0, 2.0)), (True, False)
        ):
            one, other = (by_hand(plane, kernel, step, along) for plane in (pixels, pixels.T))
            counts = np.array([one.get(run, 0) + other.get(run, 0) for run in runs_in_order])
            np.testing.assert_allclose(features[order - 1, k, int(along)], counts / counts.sum(), atol=1e-6)


def test_runs_that_mirror_each_other_are_one():
    classes = mirrored()
    assert len(classes.unique()) == CLASSES == 325
    codes = {run: k for k, run in enumerate(itertools.product(range(5), repeat=4))}
    for run, code in codes.items():
        assert classes[code] == classes[codes[run[::-1]]]


def test_every_run_is_counted_once():
    symbols = torch.randint(0, 5, (2, 9, 7), generator=torch.Generator().manual_seed(0)).float()
    assert runs(symbols, 1).sum(1).tolist() == [6 * 7, 6 * 7]
    assert runs(symbols, 2).sum(1).tolist() == [9 * 4, 9 * 4]
    one = runs(torch.tensor([[[4.0, 0.0, 1.0, 2.0]]]), 2)
    assert one.argmax() == ((4 * 5 + 0) * 5 + 1) * 5 + 2


def test_values_beyond_two_steps_are_truncated():
    residual = torch.tensor([-9.0, -3.1, -2.0, -0.9, 0.0, 1.1, 3.1, 50.0])
    assert quantised(residual, 2.0).tolist() == [0, 0, 1, 2, 2, 3, 4, 4]


def test_a_transposed_image_has_the_same_features():
    images = noise(channels=3)
    features = rich(channels=3).features(images)
    torch.testing.assert_close(rich(channels=3).features(images.mT), features)


def test_colour_adds_chroma_and_differences_between_colours():
    grey, colour = rich(steps=(1.0,)), rich(channels=3, steps=(1.0,))
    one = grey.features(noise())
    assert one.shape == (3, 3 * 2 * CLASSES)
    assert colour.features(noise(channels=3)).shape == (3, 3 * 3 * 2 * CLASSES + 3 * 125)
    # Of a grey picture in three equal channels, luma is as it was, chroma flat, and the colours agree.
    three = colour.features(noise().expand(-1, 3, -1, -1))
    torch.testing.assert_close(three[:, : one.shape[1]], one)
    between = three[:, -3 * 125 :].square().reshape(3, 3, 5, 5, 5)
    same = sum(between[..., k, k, k] for k in range(5))
    torch.testing.assert_close(same, torch.ones(3, 3))


def test_eight_pixels_are_enough():
    detector = build_a(FittedDetector, "rich", 8, 1, 17)
    assert detector.features(noise(side=8, levels=17, spread=0.5)).square().sum(1) == pytest.approx(3 * 3 * 2)
