import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from arena.detectors.techniques.srm import Srm, rich_kernels, rich_residuals
from tests.detectors.planted import noise

GROUPS = {"first": (0, 8), "second": (8, 12), "third": (12, 20), "edge 3x3": (20, 24), "square 3x3": (24, 25)} | {
    "edge 5x5": (25, 29),
    "square 5x5": (29, 30),
}


def test_there_are_30_different_kernels_and_each_sums_to_0():
    kernels = rich_kernels()
    assert kernels.shape == (30, 5, 5)
    assert len(torch.unique(kernels.flatten(1), dim=0)) == 30
    torch.testing.assert_close(kernels.sum((1, 2)), torch.zeros(30), rtol=0, atol=1e-6)
    assert (kernels[:, 2, 2].abs() == 1).all()


@pytest.mark.parametrize(("group", "degree"), [("first", 0), ("second", 1), ("third", 2)])
def test_a_difference_of_order_n_annihilates_polynomials_of_a_lower_degree_and_no_higher_along_its_line(group, degree):
    y, x = np.indices((9, 9)).astype(float)
    kernels = rich_kernels()[slice(*GROUPS[group])].numpy()
    for kernel in kernels:
        rows, columns = np.nonzero(kernel)
        along = (rows[-1] - rows[0]) * y + (columns[-1] - columns[0]) * x
        assert np.abs(correlate2d(along ** (degree + 1), kernel, "valid")).min() > 1e-3
        for power in range(degree + 1):
            assert np.abs(correlate2d(along**power, kernel, "valid")).max() < 1e-3


@pytest.mark.parametrize(("group", "degree"), [("edge 3x3", 1), ("square 3x3", 3), ("edge 5x5", 1), ("square 5x5", 3)])
def test_edges_and_squares_annihilate_surfaces(group, degree):
    y, x = np.indices((9, 9)).astype(float) - 4
    for kernel in rich_kernels()[slice(*GROUPS[group])].numpy():
        for power in range(degree + 1):
            for surface in (x**power, y**power):
                np.testing.assert_allclose(correlate2d(surface, kernel, "valid"), 0, atol=1e-3)


def test_the_kernels_are_those_of_the_rich_models():
    kernels = rich_kernels()
    assert kernels[0, 2].tolist() == [0, 0, -1, 1, 0]
    assert kernels[8, 2].tolist() == [0, 0.5, -1, 0.5, 0]
    torch.testing.assert_close(kernels[12, 2], torch.tensor([0, -1, 3, -3, 1]) / 3)
    torch.testing.assert_close(kernels[24, 1:4, 1:4] * 4, torch.tensor([[-1.0, 2, -1], [2, -4, 2], [-1, 2, -1]]))
    assert kernels[20, 3:].abs().sum() == 0
    assert kernels[25, 3:].abs().sum() == 0
    torch.testing.assert_close(kernels[29, 1] * 12, torch.tensor([2.0, -6, 8, -6, 2]))
    torch.testing.assert_close(kernels[29], kernels[29].T)


@pytest.mark.parametrize(("channels", "planes"), [(1, 30), (3, 32)])
def test_residuals_are_scipys_correlation_in_grey_levels(channels, planes):
    images = noise(2, channels, 12, 12)
    computed = rich_residuals(images, 256)
    assert computed.shape == (2, planes, 8, 8)
    for image, residuals in zip(images.numpy() * 127.5, computed.numpy(), strict=True):
        for kernel, residual in zip(rich_kernels().numpy(), residuals, strict=False):
            np.testing.assert_allclose(residual, correlate2d(image.mean(0), kernel, "valid"), atol=1e-2)
        if channels == 3:
            square = rich_kernels()[24].numpy()
            for colour, residual in zip(
                (image[0] - image[1], image[2] - image[:2].mean(0)), residuals[30:], strict=True
            ):
                np.testing.assert_allclose(residual, correlate2d(colour, square, "valid"), atol=1e-2)


def test_its_network_sees_truncated_residuals():
    seen = []

    def network(*, channels, side):
        assert (channels, side) == (30, 28)
        layer = torch.nn.Identity()
        layer.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
        return layer

    images = noise(2, 1, 32, 32)
    detector = Srm(resolution=32, channels=1, levels=256, crop=64, truncation=3.0, network=network)
    detector.logits(images)
    torch.testing.assert_close(seen[0], rich_residuals(images, 256).clamp(-3, 3) / 3)
