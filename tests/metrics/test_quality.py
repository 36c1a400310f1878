from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch

from arena.data.digits import Digits
from arena.metrics.features.fitted import FittedFeatures
from arena.metrics.features.random import RandomFeatures
from arena.metrics.features.space import CPU, FeatureSpace
from arena.metrics.quality import QualityMeter, at_half_resolution


@dataclass(frozen=True)
class Pixels(FeatureSpace):
    """The pixels themselves, counting the sets of images it was asked about."""

    name: ClassVar[str] = "pixels"
    asked: list[int] = field(default_factory=list)

    def fit(self, reference, device=CPU):
        def features(images):
            self.asked.append(len(images))
            return images.flatten(1).float().numpy() / 64 - 2

        return features


def blobs(n, centre, seed):
    """Images of two pixels around a grey."""
    noise = torch.randn(n, 1, 1, 2, generator=torch.Generator().manual_seed(seed))
    return (centre + 12 * noise).round().clamp(0, 255).to(torch.uint8)


def two_modes(n, seed):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return torch.cat([blobs(n // 2, 60, seed), blobs(n // 2, 190, seed + 1)])[order]


@pytest.fixture(scope="module")
def meter():
    return QualityMeter(Pixels(), two_modes(400, 0), two_modes(300, 2), n=400, seed=0)


def test_fakes_like_the_reals_are_good_and_varied(meter):
    found = meter.quality(two_modes(400, 4))
    assert found.n == 400
    assert abs(found.kernel_distance) < 3 * found.kernel_distance_error
    assert found.frechet_distance is not None
    assert found.frechet_distance_error is not None
    assert abs(found.frechet_distance) < 3 * found.frechet_distance_error
    assert min(found.precision, found.recall, found.density, found.coverage) > 0.85
    assert found.memorisation_low < 0.5 < found.memorisation_high


def test_collapse_is_precise_and_has_no_variety(meter):
    """Convention: of two modes one alone is precise, and covers half of the reals at most."""
    found, varied = meter.quality(blobs(400, 60, 6)), meter.quality(two_modes(400, 4))
    assert found.precision > 0.9
    assert found.recall < 0.55
    assert found.coverage < 0.55
    assert found.kernel_distance > varied.kernel_distance + 5 * found.kernel_distance_error
    assert found.frechet_distance > varied.frechet_distance + 5 * found.frechet_distance_error


def test_copies_of_the_training_set_are_memorised(meter):
    assert meter.quality(two_modes(300, 2)).memorisation_low > 0.6


def test_what_copies_nothing_is_at_one_half_in_the_fitted_space():
    """Reference and training reals must lie alike in it: fitted on the former alone, 0.53 was found on the digits."""
    images, found = Digits(resolution=8, seed=0, planted_amplitude=2).reals.images, []
    for seed in range(12):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        reference, train, fresh = images[order].split([400, 540, len(images) - 940])
        found.append(QualityMeter(FittedFeatures(), reference, train, n=400, seed=seed).quality(fresh).memorisation)
    assert abs(np.mean(found) - 0.5) < 2.5 * np.std(found, ddof=1) / 12**0.5


def test_features_of_the_reals_are_computed_once():
    space = Pixels()
    meter = QualityMeter(space, two_modes(40, 0), two_modes(30, 2), n=40, seed=0)
    assert sorted(space.asked) == [30, 40]
    assert meter.quality(two_modes(20, 4)) == meter.quality(two_modes(20, 4))
    assert space.asked[2:] == [20, 20]


@pytest.mark.parametrize(("n", "fakes", "taken"), [(10, 30, 10), (40, 30, 30), (1000, 100, 40)])
def test_distances_are_taken_at_equal_n(n, fakes, taken):
    reference, images = two_modes(40, 0), two_modes(100, 4)[:fakes]
    meter = QualityMeter(Pixels(), reference, two_modes(30, 2), n=n, seed=0)
    found = meter.quality(images)
    alone = QualityMeter(Pixels(), reference[:taken], two_modes(30, 2), n=taken, seed=0).quality(images[:taken])
    assert found.n == taken
    assert found[:8] == alone[:8]
    assert meter.kernel_distance(images) == found[1:3]


def test_no_frechet_distance_of_too_few_images():
    images = torch.randint(0, 256, (30, 1, 4, 4), dtype=torch.uint8)
    found = QualityMeter(Pixels(), images, images, n=30, seed=0).quality(images)
    assert found.frechet_distance is None
    assert found.frechet_distance_error is None
    assert np.isfinite(found.kernel_distance)


@pytest.mark.parametrize("space", [FittedFeatures(), RandomFeatures()], ids=lambda space: space.name)
def test_half_the_resolution_is_farther_away_than_fresh_reals(space):
    data = Digits(resolution=8, seed=0, planted_amplitude=2)
    data.setup()
    reference, reals = data.part("reference").images, data.part("judge").images
    meter = QualityMeter(space, reference, data.part("generator").images, n=len(reference), seed=0)
    fresh, blurred = meter.quality(reals), meter.quality(at_half_resolution(reals))
    assert abs(fresh.kernel_distance) < 3 * fresh.kernel_distance_error
    assert blurred.kernel_distance > 30 * blurred.kernel_distance_error
    assert fresh.frechet_distance is not None
    assert fresh.frechet_distance_error is not None
    assert blurred.frechet_distance is not None
    assert abs(fresh.frechet_distance) < 3 * fresh.frechet_distance_error
    assert blurred.frechet_distance > 30 * fresh.frechet_distance_error


def test_half_resolution_keeps_what_is_flat_and_loses_what_is_finest():
    flat = torch.full((2, 3, 16, 16), 77, dtype=torch.uint8)
    assert torch.equal(at_half_resolution(flat), flat)
    stripes = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    stripes[..., ::2] = 255
    blurred = at_half_resolution(stripes)
    assert blurred.dtype == torch.uint8
    assert blurred.shape == stripes.shape
    assert (blurred[..., 2:-2].float() - 127.5).abs().max() < 8
