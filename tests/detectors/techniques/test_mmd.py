import functools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from arena.core.errors import ArenaError
from arena.data.digits import Digits
from arena.detectors.base import FittedDetector
from arena.detectors.heads import Sample
from arena.detectors.techniques.dct import Dct
from arena.detectors.techniques.forest import Forest
from arena.detectors.techniques.mmd import Mmd, Witness, kernel
from tests.detectors.planted import Examples, build, build_a, clouds, fit, fitted, logits, noise


def witness(points: int = 512, n: int = 400) -> Witness:
    return fitted(Witness(points=points), clouds(n, 5, 0), clouds(200, 5, 1))


def test_the_kernel_is_a_mixture_of_gaussian_kernels():
    """The rational quadratic kernel averages Gaussian ones over a gamma law of their precision (Binkowski 2018)."""
    x, points = noise(4, 3).double(), noise(6, 3, seed=1).double()
    rng, width = np.random.default_rng(0), 0.7
    precisions = np.concatenate([rng.gamma(exponent, 1 / exponent, 20_000) for exponent in (0.2, 1.0, 5.0)]) / (
        2 * width
    )
    gaussians = np.exp(-precisions[:, None, None] * cdist(x, points, "sqeuclidean"))
    expected = gaussians.mean(axis=0)
    np.testing.assert_allclose(kernel(x, points, torch.tensor(width)), expected, atol=0.01)
    torch.testing.assert_close(kernel(x, x, torch.tensor(width)).diagonal(), torch.ones(4).double())


def test_the_difference_of_its_means_is_the_squared_discrepancy():
    """On the training images themselves it is the biased estimate (Gretton et al. 2012, equation 5)."""
    train = clouds(300, 5, 0)
    head = fitted(Witness(points=512), train, clouds(200, 5, 1))
    values = head.margin(train.features)
    x = (train.features - train.features.mean(0)) / train.features.std(0)
    reals, fakes = x[train.labels == 0], x[train.labels == 1]
    means = {pair: float(kernel(*pair, head.width).mean()) for pair in ((reals, reals), (fakes, fakes), (reals, fakes))}
    expected = means[reals, reals] + means[fakes, fakes] - 2 * means[reals, fakes]
    assert float(values[train.labels == 1].mean() - values[train.labels == 0].mean()) == pytest.approx(expected)
    assert expected > 0


def test_it_tells_unseen_images_apart_and_equal_classes_not():
    test = clouds(1000, 5, 2)
    assert roc_auc_score(test.labels, witness()(test.features)) > 0.9
    alike = fitted(Witness(points=512), clouds(400, 5, 0, apart=0), clouds(200, 5, 1, apart=0))
    same = clouds(1000, 5, 2, apart=0)
    assert roc_auc_score(same.labels, alike(same.features)) == pytest.approx(0.5, abs=0.06)


def test_it_sees_equal_means_of_unequal_spread():
    """No linear head does."""
    rng, labels = np.random.default_rng(0), torch.arange(600) % 2
    values = torch.from_numpy(rng.normal(size=(600, 2))) * (1 + 3 * labels[:, None])
    learned, validation, test = (
        Sample(values[part], labels[part]) for part in (slice(0, 300), slice(300, 400), slice(400, 600))
    )
    head = fitted(Witness(points=512), learned, validation)
    assert roc_auc_score(test.labels, head(test.features)) > 0.75


def test_it_keeps_at_most_its_points_drawn_by_the_seed():
    assert witness(points=20).points.shape == (40, 5)
    assert witness(points=1000).points.shape == (400, 5)
    seeds = [fitted(Witness(points=20), clouds(400, 5, 0), clouds(200, 5, 1), seed=seed).points for seed in (0, 0, 1)]
    assert torch.equal(seeds[0], seeds[1])
    assert not torch.equal(seeds[0], seeds[2])


def test_far_from_all_points_there_is_a_gradient_towards_them():
    head, far = witness(), torch.full((1, 5), 1e4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(head.margin(far).sum(), far)
    assert gradient.isfinite().all()
    assert float(gradient.norm()) > 0


def test_reals_from_reals_it_does_not_tell():
    images = Digits(resolution=8, seed=0, planted_amplitude=2).reals.images
    images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:2400]]
    parts = [Examples(part, torch.arange(len(part)) % 2) for part in images.split([900, 300, 1200])]
    detector = build_a(FittedDetector, "mmd")
    fit(detector, *parts[:2])
    assert roc_auc_score(parts[2].labels, logits(detector, parts[2])) == pytest.approx(0.5, abs=0.06)


def test_features_artefact_and_gradient_are_those_of_the_technique_it_uses():
    images = noise(3, 1, 8, 8)
    detector, other = build_a(FittedDetector, "mmd"), build_a(FittedDetector, "fingerprint")
    assert torch.equal(detector.features(images), other.features(images))
    assert detector.artefact == other.artefact
    assert all(name.startswith("head.") for name in detector.state_dict())
    trees = Mmd(resolution=8, channels=1, levels=17, points=9, of=forest)
    assert not trees.differentiable


def forest(*, resolution: int, channels: int, levels: int) -> Forest:
    built = build("forest", resolution, channels, levels)
    assert isinstance(built, Forest)
    return built


def test_a_technique_without_features_is_refused():
    with pytest.raises(ArenaError, match=r"^of=Dct: expected a technique of features under a head"):
        Mmd(resolution=8, channels=1, levels=17, points=9, of=functools.partial(Dct, epsilon=1e-3))  # type: ignore[arg-type]
