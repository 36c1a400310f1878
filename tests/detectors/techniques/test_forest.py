import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F

from arena.detectors.base import FittedDetector
from arena.detectors.techniques.forest import residuals, soft_statistics, statistics
from arena.imaging.images import on_levels
from tests.detectors.planted import build_a, noise

# Order of the columns: four moments, two shares, then eight of each residual, then three correlations of colours.
MEAN, DEVIATION, SKEWNESS, KURTOSIS, BLACK, WHITE, FIRST = range(7)


def test_statistics_of_four_by_four_pixels_by_hand():
    ink = torch.tensor([[0, 0, 16, 16], [0, 1, 3, 16], [2, 2, 2, 2], [5, 4, 3, 2]], dtype=torch.float64)
    computed = statistics((ink / 8 - 1)[None, None].float(), 17)[0].numpy()
    pixels = ink.numpy().ravel()
    assert len(computed) == 6 + 8 * 5
    assert computed[MEAN] == pytest.approx(74 / 16)
    assert computed[DEVIATION] == pytest.approx(pixels.std())
    assert computed[SKEWNESS] == pytest.approx(scipy.stats.skew(pixels), rel=1e-2)
    assert computed[KURTOSIS] == pytest.approx(scipy.stats.kurtosis(pixels, fisher=False), rel=1e-2)
    assert computed[BLACK] == pytest.approx(3 / 16)
    assert computed[WHITE] == pytest.approx(3 / 16)
    # The first residual, right minus centre, over the inner 2x2: [[2, 13], [0, 0]].
    deviation, kurtosis, neighbours, *shares = computed[FIRST : FIRST + 8]
    residual = np.array([2.0, 13.0, 0.0, 0.0])
    assert deviation == pytest.approx(residual.std())
    assert kurtosis == pytest.approx(scipy.stats.kurtosis(residual, fisher=False), rel=1e-2)
    assert neighbours == pytest.approx((2 * 13 + 0) / 2 / residual.var(), rel=1e-4)
    assert shares == pytest.approx([0, 0, 0.5, 0, 0.5])  # 2 and 13 are both cut off at 2


# Kernels of the spatial rich model (Fridrich & Kodovsky 2012, figure 2): 1a and 2a along either axis, and SQUARE 3x3.
KERNELS = (
    ((0, 0, 0), (0, -1, 1), (0, 0, 0)),
    ((0, 0, 0), (0, -1, 0), (0, 1, 0)),
    ((0, 0, 0), (1, -2, 1), (0, 0, 0)),
    ((0, 1, 0), (0, -2, 0), (0, 1, 0)),
    ((-1, 2, -1), (2, -4, 2), (-1, 2, -1)),
)


def test_residuals_are_those_of_the_rich_models():
    pixels = torch.randint(0, 256, (2, 3, 8, 9), generator=torch.Generator().manual_seed(0)).double()
    kernels = torch.tensor(KERNELS).double()[:, None]
    expected = F.conv2d(pixels.flatten(0, 1)[:, None], kernels).unflatten(0, (2, 3))
    assert torch.equal(residuals(pixels), expected)


def test_colour_averages_the_channels_and_adds_their_correlations():
    grey = on_levels(noise(4, 1, 8, 8), 256)
    one, three = statistics(grey, 256), statistics(torch.cat([grey, grey, -grey], 1), 256)
    assert three.shape[1] == one.shape[1] + 3
    torch.testing.assert_close(
        three[:, -3:], torch.tensor([[1.0, -1.0, -1.0]]).double().expand(4, 3), rtol=0, atol=1e-3
    )
    torch.testing.assert_close(three[:, DEVIATION], one[:, DEVIATION])


def test_its_features_are_the_statistics_of_its_levels():
    images = on_levels(noise(4, 1, 8, 8), 17)
    assert torch.equal(build_a(FittedDetector, "forest").features(images), statistics(images, 17))


@pytest.mark.parametrize(("channels", "levels"), [(1, 17), (3, 256), (1, 2)])
def test_soft_statistics_equal_the_statistics_of_whole_grey_levels(channels, levels):
    images = on_levels(noise(5, channels, 8, 8), levels)
    images[0] = -1  # black
    images[1] = on_levels(0.05 * images[1], levels)  # of little contrast
    torch.testing.assert_close(soft_statistics(images, levels), statistics(images, levels), rtol=1e-5, atol=1e-5)


def test_soft_statistics_are_the_mean_over_roundings_of_a_value_between_two_levels():
    """A residual of 0.3 counts 0.7 for 0 and 0.3 for 1, and a pixel of 0.3 levels is 0.7 black."""
    ramp = torch.zeros(1, 1, 3, 3)
    ramp[..., 2] = 0.3  # right minus centre is 0.3 at the only inner pixel
    computed = soft_statistics(ramp / 8 - 1, 17)[0].numpy()
    assert computed[FIRST + 3 : FIRST + 8] == pytest.approx([0, 0, 0.7, 0.3, 0], abs=1e-6)
    assert computed[BLACK] == pytest.approx((6 + 3 * 0.7) / 9, abs=1e-6)


def test_every_soft_statistic_has_a_finite_gradient_and_shares_have_one_between_levels():
    images = (on_levels(noise(3, 1, 8, 8) * 0.1, 17) + 0.02).requires_grad_()
    computed = soft_statistics(images, 17)
    for column in range(computed.shape[1]):
        (gradient,) = torch.autograd.grad(computed[:, column].sum(), images, retain_graph=True)
        assert gradient.isfinite().all()
        if column >= FIRST and (column - FIRST) % 8 == 5:  # the share of residuals that are 0
            assert bool((gradient != 0).any())
    flat = torch.full((1, 1, 8, 8), 0.5, requires_grad=True)
    assert torch.autograd.grad(soft_statistics(flat, 17).sum(), flat)[0].isfinite().all()
