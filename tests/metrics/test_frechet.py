import numpy as np
import pytest
from scipy.linalg import sqrtm

from arena.metrics.frechet import (
    Moments,
    enough_images,
    extrapolated_frechet_distance,
    frechet_distance,
    moments,
)


def gaussian(rng, n, mean, covariance):
    return rng.normal(size=(n, len(mean))) @ np.linalg.cholesky(covariance).T + mean


def correlated(d, seed):
    """A covariance whose eigenvalues fall from 4 to 0.1, turned at random."""
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    return (axes * np.geomspace(4, 0.1, d)) @ axes.T


@pytest.mark.parametrize(("d", "n"), [(1, 20), (6, 50), (40, 300)])
def test_against_the_square_root_of_a_matrix(d, n):
    """Dowson & Landau (1982), equation 4, as it is usually written: with the root of S1 S2, which is not symmetric."""
    rng = np.random.default_rng(d)
    x, y = rng.normal(size=(n, d)), gaussian(rng, n + 7, np.full(d, 0.3), correlated(d, 1))
    s1, s2 = np.atleast_2d(np.cov(x.T)), np.atleast_2d(np.cov(y.T))
    root = np.real(sqrtm(s1 @ s2))
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root)
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(moments(y), moments(x)) == pytest.approx(expected, rel=1e-8)


def test_two_gaussians():
    """Along shared axes it is |m1 - m2|^2 + sum_i (sigma_1i - sigma_2i)^2 (Frechet 1957)."""
    mean, deviations = np.array([1.0, 0.0, -2.0]), (np.array([1.0, 2.0, 0.5]), np.array([1.5, 0.5, 0.5]))
    truth = 1.0 + 4.0 + 0.25 + 2.25
    first, second = (Moments(m, np.diag(s**2)) for m, s in zip((0 * mean, mean), deviations, strict=True))
    assert frechet_distance(first, second) == pytest.approx(truth)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60_000, 3)) * deviations[0], rng.normal(size=(60_000, 3)) * deviations[1] + mean
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(truth, rel=0.02)


def test_singular_covariances_stay_real():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(10, 30)), rng.normal(size=(12, 30))
    assert frechet_distance(moments(x), moments(x)) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(moments(x), moments(y)) > 1
    assert frechet_distance(moments(0 * x), moments(0 * y)) == 0


def test_float32_features_lose_nothing_to_their_mean():
    x = np.random.default_rng(2).normal(size=(200, 4)).astype(np.float32)
    far = x + np.float32(1000)
    assert frechet_distance(moments(far), moments(far[::-1])) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("n", "m"), [(400, 400), (300, 900)])
def test_the_bias_of_finite_samples_is_gone_in_the_limit(n, m):
    """Equal distributions are at distance 0, finite samples far above; 8 draws, each within 3 standard errors."""
    extrapolated, plain = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, y = (gaussian(rng, count, np.zeros(40), correlated(40, 3)) for count in (n, m))
        extrapolated.append(extrapolated_frechet_distance(x, y, seed))
        plain.append(frechet_distance(moments(x), moments(y)))
    error = np.mean([each.error for each in extrapolated])
    assert min(plain) > 5 * error
    assert abs(np.mean([each.value for each in extrapolated])) < 0.3 * error
    assert max(abs(each.value) / each.error for each in extrapolated) < 3


def test_the_error_is_that_of_repeated_draws():
    """For different Gaussians, the mean estimate is the truth, and estimates vary as much as their errors say."""
    d, shift, scale = 10, 0.4, 0.7
    truth = d * shift**2 + d * (1 - scale) ** 2
    estimates = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(250, d)), shift + scale * rng.normal(size=(250, d))
        estimates.append(extrapolated_frechet_distance(x, y, seed))
    values = np.array([each.value for each in estimates])
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(len(values))
    assert 0.8 < np.mean([each.error for each in estimates]) / values.std() < 1.6


def test_a_feature_that_never_varies_does_no_harm():
    x, y = np.random.default_rng(4).normal(size=(2, 100, 5))
    still = np.zeros((100, 1))
    alone = extrapolated_frechet_distance(x, y, 0)
    assert extrapolated_frechet_distance(np.hstack([x, still]), np.hstack([y, still]), 0) == pytest.approx(alone)


def test_the_seed_decides():
    x, y = np.random.default_rng(5).normal(size=(2, 80, 6))
    assert extrapolated_frechet_distance(x, y, 0) == extrapolated_frechet_distance(x, y, 0)
    assert extrapolated_frechet_distance(x, y, 0) != extrapolated_frechet_distance(x, y, 1)


@pytest.mark.parametrize(("n", "d", "enough"), [(128, 64, True), (127, 64, False), (4, 1, True), (3, 1, False)])
def test_too_few_images_per_feature(n, d, enough):
    assert enough_images(n, d) is enough
    x, y = np.random.default_rng(6).normal(size=(2, n, d))
    if enough:
        assert extrapolated_frechet_distance(x, y, 0).error > 0
    else:
        with pytest.raises(ValueError, match="images per feature"):
            extrapolated_frechet_distance(x, y, 0)


@pytest.mark.parametrize(("x", "y"), [((9, 2), (9, 3)), ((9,), (9,))])
def test_bad_samples(x, y):
    with pytest.raises(ValueError, match="two samples"):
        extrapolated_frechet_distance(np.zeros(x), np.zeros(y), 0)
