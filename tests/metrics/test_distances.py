import numpy as np
import pytest
from scipy.linalg import sqrtm

from arena.metrics import distances as module
from arena.metrics.distances import (
    Moments,
    enough_images,
    extrapolated_frechet_distance,
    frechet_distance,
    kernel_distance,
    moments,
)


def brute_force(x, y):
    xx, yy, xy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    return (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()


def test_the_kernel_distance_against_brute_force(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(37, 5)), rng.normal(0.4, 1.2, size=(23, 5))
    monkeypatch.setattr(module, "BLOCK", 8)
    assert kernel_distance(x, y).value == pytest.approx(brute_force(x, y), rel=1e-9)
    assert kernel_distance(x.astype(np.float32), y.astype(np.float32)).value == pytest.approx(
        brute_force(x, y), rel=1e-4
    )


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_the_kernel_distance_is_unbiased_on_gaussians(shift):
    """x ~ N(0, 1), y ~ N(s, 1) in one dimension: E k(x, x') = sum_j C(3, j) E[x^j]^2, in closed form.

    The moments of N(s, 1) are 1, s, s^2 + 1, s^3 + 3s, so MMD^2 = 3 s^2 + 3 s^4 + (s^3 + 3 s)^2.
    """
    truth = 3 * shift**2 + 3 * shift**4 + (shift**3 + 3 * shift) ** 2
    rng = np.random.default_rng(1)
    distances = [kernel_distance(rng.normal(size=(80, 1)), rng.normal(shift, 1, size=(60, 1))) for _ in range(400)]
    values = np.array([each.value for each in distances])
    assert abs(values.mean() - truth) < 4 * values.std() / 20
    claimed = np.sqrt(np.mean([each.error**2 for each in distances]))
    assert 0.8 < claimed / values.std() < 2.5  # no smaller than the truth; larger where the distributions are equal


def test_equal_sets_are_at_most_at_zero():
    x = np.random.default_rng(2).normal(size=(50, 4))
    assert kernel_distance(x, x).value <= 0


def gaussian(rng, n, mean, covariance):
    return rng.normal(size=(n, len(mean))) @ np.linalg.cholesky(covariance).T + mean


def correlated(d, seed):
    """A covariance whose eigenvalues fall from 4 to 0.1, turned at random."""
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    return (axes * np.geomspace(4, 0.1, d)) @ axes.T


@pytest.mark.parametrize(("d", "n"), [(1, 20), (6, 50), (40, 300)])
def test_the_frechet_distance_against_the_square_root_of_a_matrix(d, n):
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
def test_samples_that_do_not_match(x, y):
    for distance in (kernel_distance, lambda x, y: extrapolated_frechet_distance(x, y, 0)):
        with pytest.raises(ValueError, match="two samples"):
            distance(np.zeros(x), np.zeros(y))


def test_one_image_has_no_kernel_distance():
    with pytest.raises(ValueError, match="at least 2 each"):
        kernel_distance(np.zeros((1, 2)), np.zeros((3, 2)))
