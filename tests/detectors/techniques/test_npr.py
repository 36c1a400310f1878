import numpy as np
import pytest
import torch
import torch.nn.functional as F

from arena.detectors.techniques.npr import Npr
from tests.detectors.planted import build, build_a, noise


def relationships(images):
    return build_a(Npr, "npr", images.shape[-1], images.shape[1], 256).representation(images)


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3)])
def test_relationships_are_the_image_less_itself_down_and_up_by_the_nearest_neighbour(side, channels):
    images = noise(3, channels, side, side)
    small = F.interpolate(images, scale_factor=0.5, mode="nearest")
    expected = (images - F.interpolate(small, scale_factor=2, mode="nearest")) * 2 / 3
    torch.testing.assert_close(relationships(images), expected, rtol=0, atol=1e-6)


def test_relationships_of_numpys_squares_at_an_odd_side():
    image = noise(1, 1, 9, 9)
    pixels = image[0, 0].numpy()
    corner = pixels[2 * (np.indices((9, 9))[0] // 2), 2 * (np.indices((9, 9))[1] // 2)]
    np.testing.assert_allclose(relationships(image)[0, 0], (pixels - corner) * 2 / 3, atol=1e-6)


def test_an_image_of_doubled_pixels_has_none():
    doubled = F.interpolate(noise(2, 3, 16, 16), scale_factor=2, mode="nearest")
    assert (relationships(doubled) == 0).all()


def test_it_sees_nothing_but_relationships():
    images, detector = noise(4, 3, 32, 32), build("npr", 32, 3, 256).eval()
    squares = F.interpolate(noise(4, 3, 16, 16, seed=1), scale_factor=2, mode="nearest")
    torch.testing.assert_close(detector(images + squares), detector(images), rtol=0, atol=1e-4)
