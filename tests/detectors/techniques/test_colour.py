import colorsys

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image

from arena.core.errors import DoesNotApply
from arena.detectors.techniques.colour import Colour, correlations, exposure, luma_chroma, moments, saturation
from arena.imaging.images import to_float


def colour(**keys):
    return Colour(resolution=8, channels=3, levels=256, **({"thresholds": [0.0, 0.05]} | keys))


def pictures(n=4, side=8):
    return torch.randint(0, 256, (n, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_luma_and_chroma_are_pillows():
    images = pictures()
    theirs = [np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("YCbCr")) for image in images]
    computed = luma_chroma(to_float(images), 256).permute(0, 2, 3, 1)
    np.testing.assert_allclose(computed, np.stack(theirs).astype(float), atol=1.0)  # Pillow cuts off what is below 1


def test_a_grey_image_is_its_own_luma():
    ink = torch.arange(17.0).reshape(1, 1, 1, 17)
    torch.testing.assert_close(luma_chroma(ink / 8 - 1, 17), ink)


def test_shares_of_badly_exposed_pixels_are_counts_where_no_pixel_lies_on_a_threshold():
    levels = pictures(side=32) // 4 * 4 + 2  # 2, 6, 10 ... 254
    computed = exposure(levels / 255, (0.08, 0.3), width=0.1 / 255)
    expected = [
        (side, threshold)
        for threshold in (0.08, 0.3)
        for side in (levels.double() < threshold * 255, levels.double() > (1 - threshold) * 255)
    ]
    counts = torch.cat([hit.flatten(2).double().mean(2) for hit, _ in expected], 1)
    torch.testing.assert_close(computed.double(), counts, rtol=0, atol=1e-3)


def test_a_soft_threshold_pushes_the_pixels_near_it():
    intensity = torch.tensor([0.05, 0.06, 0.5]).reshape(1, 1, 1, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(exposure(intensity, (0.05,), width=1 / 255)[0, 0], intensity)
    assert gradient.flatten()[0] < gradient.flatten()[1] < 0
    assert gradient.flatten()[2].abs() < 1e-6


def test_saturation_is_that_of_the_standard_library():
    rgb = pictures() / 255
    expected = [colorsys.rgb_to_hsv(*pixel)[1] for pixel in rgb.permute(0, 2, 3, 1).reshape(-1, 3).tolist()]
    np.testing.assert_allclose(saturation(rgb).flatten(), expected, atol=0.05)  # of dark pixels, a little less


def test_moments_are_scipys():
    planes = pictures() / 255
    mean, deviation, skewness = moments(planes).double().reshape(4, 3, 3).unbind(1)
    flat = planes.double().flatten(2).numpy()
    np.testing.assert_allclose(mean, flat.mean(2), rtol=1e-5)
    np.testing.assert_allclose(deviation, flat.std(2), rtol=1e-4)
    np.testing.assert_allclose(skewness, scipy.stats.skew(flat, axis=2), rtol=1e-3, atol=1e-3)


def test_correlations_are_numpys():
    planes = pictures() / 255
    planes[:, 1] += planes[:, 0]
    computed = correlations(planes)
    expected = [np.corrcoef(image.flatten(1).numpy())[[0, 0, 1], [1, 2, 2]] for image in planes]
    np.testing.assert_allclose(computed, expected, rtol=1e-3, atol=1e-3)


def test_grey_images_have_no_colour():
    with pytest.raises(DoesNotApply, match="needs three channels"):
        Colour(resolution=8, channels=1, levels=17, thresholds=[0.0])
