import numpy as np
import pytest
import torch
import torch.nn.functional as F

from arena.core.errors import ArenaError
from arena.detectors.techniques.cooccurrence import FLOOR, Cooccurrence, SoftBins


def cooccurrence(bins=16, channels=3, levels=256, resolution=16):
    return Cooccurrence(resolution=resolution, channels=channels, levels=levels, bins=bins)


def on_centres(bins, channels=3, n=4, seed=0):
    """Images whose every pixel lies on the centre of a bin, and the bins."""
    place = torch.randint(0, bins, (n, channels, 16, 16), generator=torch.Generator().manual_seed(seed))
    return place * 2 / (bins - 1) - 1, place.numpy()


def shares(detector, images):
    """Histograms (B, K, bins, bins) of features."""
    return (detector.features(images).square() - FLOOR).unflatten(1, (-1, detector.bins, detector.bins))


@pytest.mark.parametrize("bins", [4, 16])
def test_on_the_centres_of_bins_it_counts_as_numpy_does(bins):
    images, place = on_centres(bins)
    edges = [np.arange(bins + 1) - 0.5] * 2
    expected = []
    for red, green, blue in place:
        pairs = [(channel[:, :-1], channel[:, 1:]) for channel in (red, green, blue)]
        pairs += [(red, green), (red, blue), (green, blue)]
        expected.append([np.histogram2d(one.ravel(), other.ravel(), edges)[0] / one.size for one, other in pairs])
    np.testing.assert_allclose(shares(cooccurrence(bins), images), expected, atol=1e-5)


def test_a_grey_image_has_one_histogram():
    images, _ = on_centres(16, channels=1)
    assert cooccurrence(channels=1).features(images).shape == (4, 256)
    assert cooccurrence().features(images.expand(-1, 3, -1, -1)).shape == (4, 6 * 256)


def test_a_pixel_between_two_centres_belongs_to_both():
    place = torch.tensor([0.0, 0.25, 1.5, 3.0])
    found = SoftBins.of(place * 2 / 3 - 1, 4)
    belongs = (
        F.one_hot(found.lower, 4) * (1 - found.above)[:, None] + F.one_hot(found.lower + 1, 4) * found.above[:, None]
    )
    expected = [[1, 0, 0, 0], [0.75, 0.25, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]]
    torch.testing.assert_close(belongs, torch.tensor(expected, dtype=torch.float32))


def test_every_histogram_sums_to_one():
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(shares(cooccurrence(), images).sum((2, 3)), torch.ones(3, 6), rtol=1e-4, atol=1e-4)


def test_its_gradient_is_that_of_finite_differences():
    detector = cooccurrence(bins=4)
    images = (torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1).requires_grad_()
    weight = torch.randn(6 * 16, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad((detector.features(images) @ weight).sum(), images)
    direction = torch.randn(images.shape, generator=torch.Generator().manual_seed(3))
    step = 1e-3
    ahead, behind = (detector.features(images.detach() + sign * step * direction) @ weight for sign in (1, -1))
    torch.testing.assert_close(
        ((ahead - behind) / (2 * step)).sum(), (gradient * direction).sum(), rtol=5e-2, atol=1e-3
    )


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_a_flat_image_has_finite_features_and_gradients(value):
    flat = torch.full((1, 3, 16, 16), value, requires_grad=True)
    features = cooccurrence().features(flat)
    (gradient,) = torch.autograd.grad(features.sum(), flat)
    assert features.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("bins", [1, 257])
def test_an_impossible_number_of_bins_names_its_key(bins):
    with pytest.raises(ArenaError, match=f"bins={bins}: expected 2 to 256"):
        cooccurrence(bins)
