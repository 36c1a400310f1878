from functools import partial

import numpy as np
import pytest
import torch

from arena.detectors.networks.small import ResidualNetwork
from arena.detectors.techniques.wavelet import HIGH_PASS, Wavelet, diagonal_band
from tests.detectors.planted import build_a, noise, plant

# The spline wavelet 1.3 as Cohen, Daubechies & Feauveau (1992, table 6.2) have it: rational taps over sqrt(2).
ANALYSIS_LOW = np.array([-1, 1, 8, 8, 1, -1]) / (8 * np.sqrt(2))
SYNTHESIS_LOW = np.array([0, 0, 1, 1, 0, 0]) / np.sqrt(2)
SIGNS = (-1.0) ** np.arange(6)
ANALYSIS_HIGH = -SIGNS * SYNTHESIS_LOW
SYNTHESIS_HIGH = SIGNS * ANALYSIS_LOW


def test_its_high_pass_is_that_of_a_pair_of_filter_banks_that_rebuild_every_signal():
    np.testing.assert_allclose(np.abs(ANALYSIS_HIGH[2:4]), np.abs(HIGH_PASS))
    assert (ANALYSIS_HIGH[[0, 1, 4, 5]] == 0).all()
    # Distortion and aliasing of a two-channel bank (Vetterli 1986): 2 z^-5 and 0.
    distortion = np.convolve(ANALYSIS_LOW, SYNTHESIS_LOW) + np.convolve(ANALYSIS_HIGH, SYNTHESIS_HIGH)
    aliasing = np.convolve(SIGNS * ANALYSIS_LOW, SYNTHESIS_LOW) + np.convolve(SIGNS * ANALYSIS_HIGH, SYNTHESIS_HIGH)
    np.testing.assert_allclose(distortion, 2 * (np.arange(11) == 5), atol=1e-12)
    np.testing.assert_allclose(aliasing, 0, atol=1e-12)
    # Vanishing moments: one of the analysis, three of the synthesis.
    assert sum(HIGH_PASS) == 0
    for power in range(3):
        np.testing.assert_allclose(np.sum(SYNTHESIS_HIGH * np.arange(6.0) ** power), 0, atol=1e-12)


@pytest.mark.parametrize("side", [8, 9, 32])
def test_the_sub_band_is_the_separable_filtering_of_rows_and_columns(side):
    images = noise(2, 3, side, side)
    pairs = np.zeros((side // 2, side))
    for k in range(side // 2):
        pairs[k, 2 * k : 2 * k + 2] = HIGH_PASS
    expected = np.einsum("ki,bcij,lj->bckl", pairs, images.numpy(), pairs)
    np.testing.assert_allclose(diagonal_band(images), expected, atol=1e-5)


def test_the_sub_band_is_pywavelets_except_at_the_border():
    pywt = pytest.importorskip("pywt")
    images = noise(2, 3, 32, 32)
    _, (_, _, diagonal) = pywt.dwt2(images.numpy(), "bior1.3", mode="symmetric")
    np.testing.assert_allclose(diagonal_band(images), diagonal[..., 1:-1, 1:-1], atol=1e-5)


def test_a_checkerboard_is_constant_in_it_and_stripes_are_not_there():
    grey = torch.zeros(1, 1, 8, 8)
    checkerboard = diagonal_band(plant(grey, "checkerboard", 8, 256) - plant(grey, "checkerboard", 0, 256))
    assert checkerboard.abs().min() > 0
    assert (checkerboard == checkerboard[0, 0, 0, 0]).all()
    torch.testing.assert_close(diagonal_band(plant(grey, "stripes", 8, 256)), torch.zeros(1, 1, 4, 4))


def test_in_training_each_image_takes_all_eight_positions_of_a_square_and_no_other():
    detector, image = build_a(Wavelet, "wavelet"), noise(1, 1, 8, 8)
    computed = detector.augmented(image.expand(200, -1, -1, -1), torch.Generator().manual_seed(0))
    positions = [turned for k in range(4) for turned in (image.rot90(k, (-2, -1)), image.flip(-1).rot90(k, (-2, -1)))]
    counts = torch.stack([(computed == position).all((1, 2, 3)) for position in torch.cat(positions)]).sum(1)
    assert counts.sum() == 200
    assert counts.min() > 10


def test_where_the_data_forbids_mirroring_four_positions_are_left():
    network = partial(ResidualNetwork, width=4)
    detector = Wavelet(network=network, mirror=False, resolution=8, channels=1, levels=17)
    image = noise(1, 1, 8, 8)
    computed = detector.augmented(image.expand(100, -1, -1, -1), torch.Generator().manual_seed(0))
    positions = torch.cat([image.rot90(k, (-2, -1)) for k in range(4)])
    assert torch.stack([(computed == position).all((1, 2, 3)) for position in positions]).sum() == 100
