import numpy as np
import pytest
import scipy.fft
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from arena.core.errors import DoesNotApply
from arena.detectors.base import FittedDetector
from arena.detectors.techniques.benford import (
    BANDS,
    Benford,
    benford_law,
    coefficients,
    digit_counts,
    divergences,
    first_digits,
)
from arena.imaging.images import on_levels
from tests.detectors.planted import auc_on_textures, build, build_a


def pictures(n=2, channels=1, side=20):
    return on_levels(torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(0)).mul(0.1), 256)


@pytest.mark.parametrize("base", [3, 10, 16])
def test_first_digits_are_those_of_the_numbers_written_out(base):
    computed = first_digits(base, 5000).tolist()
    assert computed == [int(np.base_repr(number, base)[0], base) for number in range(5001)]


def test_powers_of_two_follow_the_law():
    digits = torch.tensor([int(str(2**k)[0]) for k in range(3000)])
    shares = torch.bincount(digits, minlength=10)[1:] / 3000
    torch.testing.assert_close(shares.double(), benford_law(10), rtol=0, atol=2e-3)
    assert benford_law(40).sum() == pytest.approx(1)


def test_divergences_are_scipys():
    counts, law = torch.tensor([30.0, 10, 5, 0]), benford_law(5)
    shares = ((counts + 0.5) / (counts.sum() + 2)).numpy()
    symmetric, jensen, renyi = divergences(counts, law).tolist()
    assert symmetric == pytest.approx(entropy(shares, law) + entropy(law, shares))
    assert jensen == pytest.approx(jensenshannon(shares, law.numpy()) ** 2)
    assert renyi == pytest.approx(-2 * np.log(np.sqrt(shares * law.numpy()).sum()))
    torch.testing.assert_close(divergences(1e9 * law, law), torch.zeros(3).double(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("stride", [1, 8])
def test_coefficients_are_scipys_of_every_block(stride):
    images = pictures()
    pixels = ((images + 1)[:, 0] * 127.5).round().double().numpy()
    places = range(0, 13, stride)
    expected = [
        [
            np.asarray(scipy.fft.dctn(image[top : top + 8, left : left + 8], norm="ortho")).ravel()
            for top in places
            for left in places
        ]
        for image in pixels
    ]
    np.testing.assert_allclose(coefficients(images, 256, stride), np.array(expected), atol=1.0, rtol=1e-2)


def test_digits_are_counted_by_band_and_the_constant_coefficient_is_left_out():
    one = torch.zeros(1, 1, 64)
    one[0, 0, 0] = 900.0  # frequencies 0, 0
    one[0, 0, 1] = -31.0  # 0, 1: band 0
    one[0, 0, 8] = 2.6  # 1, 0: band 0
    one[0, 0, 63] = 1999.0  # 7, 7: band 6
    counts = digit_counts(one, 10, 256, 1.0)[0]
    assert counts.shape == (BANDS, 10)
    assert counts[0].nonzero()[:, 0].tolist() == [0, 3]
    assert counts[0].tolist()[3] == 2
    assert counts[BANDS - 1, 1] == 1
    assert counts.sum() == 63


@pytest.mark.slow
def test_it_catches_quantised_pixels():
    assert auc_on_textures("benford", "quantisation") > 0.9


@pytest.mark.slow
def test_it_reads_one_half_on_real_images_called_fake():
    assert 0.4 < auc_on_textures("benford", None) < 0.6


def test_of_more_images_than_fit_in_one_block_each_has_its_own_features():
    images, detector = pictures(40, 1, 32), build_a(FittedDetector, "benford", 32, 1, 256)
    alone = torch.cat([detector.features(image[None]) for image in images[-3:]])
    assert torch.equal(detector.features(images)[-3:], alone)


def test_one_block_has_no_distribution_of_digits():
    with pytest.raises(DoesNotApply, match="needs 16 pixels a side"):
        build("benford", 8, 1, 17)
    assert isinstance(build("benford", 16, 1, 17), Benford)
