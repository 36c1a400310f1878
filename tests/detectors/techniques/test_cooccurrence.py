import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from arena.detectors.gallery import score
from arena.detectors.networks.small import NatarajNetwork
from arena.detectors.techniques.cooccurrence import FLOOR, Cooccurrence, CooccurrenceCnn, SoftBins, cooccurrences
from tests.detectors.planted import EVIDENCE, build, digits, noise, train


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
    soft = SoftBins.of(place * 2 / 3 - 1, 4)
    belongs = F.one_hot(soft.lower, 4) * (1 - soft.above)[:, None] + F.one_hot(soft.lower + 1, 4) * soft.above[:, None]
    expected = [[1, 0, 0, 0], [0.75, 0.25, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]]
    torch.testing.assert_close(belongs, torch.tensor(expected, dtype=torch.float32))


def test_every_histogram_sums_to_one():
    images = noise(3, 3, 16, 16)
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


def test_at_256_bins_every_grey_level_has_its_own_as_the_authors_count():
    levels = torch.randint(0, 256, (1, 3, 12, 12), generator=torch.Generator().manual_seed(0))
    computed = cooccurrences(levels / 127.5 - 1, 256)[0]
    for histogram, channel in zip(computed, levels[0].numpy(), strict=False):
        expected = np.zeros((256, 256))
        np.add.at(expected, (channel[:, :-1].ravel(), channel[:, 1:].ravel()), 1 / 132)
        np.testing.assert_allclose(histogram, expected, atol=1e-6)


def test_the_network_of_the_published_size_sees_six_matrices_of_256_by_256():
    detector = build("paper/cooccurrence", 64, 3, 256)
    seen = []
    detector.get_submodule("network").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    detector(torch.zeros(1, 3, 64, 64))
    assert seen[0].shape == (1, 6, 256, 256)
    assert seen[0].sum((2, 3)).flatten().tolist() == pytest.approx([256.0] * 6)


@pytest.mark.slow
def test_a_network_on_the_matrices_learns_a_checkerboard():
    learned, validation, test = digits("cooccurrence")
    torch.manual_seed(0)
    detector = CooccurrenceCnn(bins=8, network=NatarajNetwork, resolution=8, channels=1, levels=17, learning_rate=1e-3)
    train(detector, learned, validation)
    assert roc_auc_score(test.labels, score(detector, test.images, EVIDENCE)) > 0.9
