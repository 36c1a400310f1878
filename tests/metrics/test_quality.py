from dataclasses import astuple, dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch

from arena.data.digits import Digits
from arena.imaging.evidence import degraded
from arena.metrics.features.space import CPU, FeatureSpace
from arena.metrics.features.untrained import FittedFeatures, RandomFeatures
from arena.metrics.quality import QualityMeter


@dataclass(frozen=True)
class Pixels(FeatureSpace):
    """The pixels as features, with the sizes of the sets of images computed."""

    name: ClassVar[str] = "pixels"
    sizes: list[int] = field(default_factory=list)

    def fit(self, reference, device=CPU):
        def features(images):
            self.sizes.append(len(images))
            return images.flatten(1).float().numpy() / 64 - 2

        return features


def blobs(n, centre, seed):
    """Images of two pixels around a grey level."""
    noise = torch.randn(n, 1, 1, 2, generator=torch.Generator().manual_seed(seed))
    return (centre + 12 * noise).round().clamp(0, 255).to(torch.uint8)


def two_modes(n, seed):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return torch.cat([blobs(n // 2, 60, seed), blobs(n // 2, 190, seed + 1)])[order]


@pytest.fixture(scope="module")
def meter():
    return QualityMeter(Pixels(), two_modes(400, 0), two_modes(300, 2), n=400, seed=0)


def test_fakes_like_the_reals_are_good_and_varied(meter):
    quality = meter.quality(two_modes(400, 4))
    assert quality.n == 400
    assert abs(quality.kernel_distance) < 3 * quality.kernel_distance_error
    assert quality.frechet_distance is not None
    assert quality.frechet_distance_error is not None
    assert abs(quality.frechet_distance) < 3 * quality.frechet_distance_error
    assert min(quality.precision, quality.recall, quality.density, quality.coverage) > 0.85
    assert quality.memorisation_low < 0.5 < quality.memorisation_high


def test_collapse_is_precise_and_has_no_variety(meter):
    """Convention: one of two modes is precise, and covers at most half of the reals."""
    quality, varied = meter.quality(blobs(400, 60, 6)), meter.quality(two_modes(400, 4))
    assert quality.precision > 0.9
    assert quality.recall < 0.55
    assert quality.coverage < 0.55
    assert quality.kernel_distance > varied.kernel_distance + 5 * quality.kernel_distance_error
    assert quality.frechet_distance > varied.frechet_distance + 5 * quality.frechet_distance_error


def test_copies_of_the_training_set_are_memorised(meter):
    assert meter.quality(two_modes(300, 2)).memorisation_low > 0.6


@pytest.mark.slow
def test_fresh_images_are_at_one_half_in_the_fitted_space():
    """The space is fitted on reference and training reals alike. On the reference alone, the mean was 0.53."""
    images, shares = Digits(resolution=8, seed=0, planted_amplitude=2).reals.images, []
    for seed in range(12):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        reference, train, fresh = images[order].split([400, 540, len(images) - 940])
        shares.append(QualityMeter(FittedFeatures(), reference, train, n=400, seed=seed).quality(fresh).memorisation)
    assert abs(np.mean(shares) - 0.5) < 2.5 * np.std(shares, ddof=1) / 12**0.5


def test_features_of_the_reals_are_computed_once():
    space = Pixels()
    meter = QualityMeter(space, two_modes(40, 0), two_modes(30, 2), n=40, seed=0)
    assert sorted(space.sizes) == [30, 40]
    assert meter.quality(two_modes(20, 4)) == meter.quality(two_modes(20, 4))
    assert space.sizes[2:] == [20, 20]


@pytest.mark.parametrize(("n", "fakes", "taken"), [(10, 30, 10), (40, 30, 30), (1000, 100, 40)])
def test_distances_are_taken_at_equal_n(n, fakes, taken):
    reference, images = two_modes(40, 0), two_modes(100, 4)[:fakes]
    meter = QualityMeter(Pixels(), reference, two_modes(30, 2), n=n, seed=0)
    quality = meter.quality(images)
    alone = QualityMeter(Pixels(), reference[:taken], two_modes(30, 2), n=taken, seed=0).quality(images[:taken])
    assert quality.n == taken
    assert astuple(quality)[:9] == astuple(alone)[:9]  # all but memorisation
    assert meter.kernel_distance_of(meter.features(images)) == (quality.kernel_distance, quality.kernel_distance_error)


def test_no_frechet_distance_of_too_few_images():
    images = torch.randint(0, 256, (30, 1, 4, 4), dtype=torch.uint8)
    quality = QualityMeter(Pixels(), images, images, n=30, seed=0).quality(images)
    assert quality.frechet_distance is None
    assert quality.frechet_distance_error is None
    assert np.isfinite(quality.kernel_distance)


@pytest.mark.parametrize("space", [FittedFeatures(), RandomFeatures()], ids=lambda space: space.name)
def test_faint_noise_is_farther_away_than_fresh_reals(space):
    data = Digits(resolution=8, seed=0, planted_amplitude=2)
    data.setup()
    reference, reals = data.part("reference").images, data.part("judge").images
    meter = QualityMeter(space, reference, data.part("generator").images, n=len(reference), seed=0)
    fresh, noisy = meter.quality(reals), meter.quality(degraded(reals, "noise", 32, 17, seed=0))
    assert abs(fresh.kernel_distance) < 3 * fresh.kernel_distance_error
    assert noisy.kernel_distance > 5 * noisy.kernel_distance_error
    assert fresh.frechet_distance is not None
    assert fresh.frechet_distance_error is not None
    assert noisy.frechet_distance is not None
    assert abs(fresh.frechet_distance) < 3 * fresh.frechet_distance_error
    assert noisy.frechet_distance > 3 * fresh.frechet_distance_error
