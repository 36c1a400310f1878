"""Distances between two samples of features: the kernel distance, and the Frechet distance for infinitely many images.

The kernel distance is the unbiased squared MMD with a cubic kernel (Binkowski et al. 2018, section 4). The Frechet
distance is called FID (Heusel et al. 2017) only for features of the Inception network.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import linregress

BLOCK = 1024
"""Rows of the kernel matrix in memory at once."""
SIZES = 15
"""Sizes of subsets, evenly spaced in 1/n from all samples to half of them.

Chong & Forsyth (2020) use as many sizes in a wider range, in which curvature in 1/n would bias the line."""
REPEATS = 8
"""Subsets of each size. With many features fewer are taken: eigenvalues are slower, and distances vary less."""
IMAGES_PER_FEATURE = 2
"""Fewest images per feature. With fewer, half of the sample has a singular covariance, and distances are not linear."""


class SquaredDistance(NamedTuple):
    """A squared distance and its standard error. Its expectation is 0 for equal distributions: it may be negative."""

    value: float
    error: float


def kernel_distance(x: NDArray[np.floating], y: NDArray[np.floating]) -> SquaredDistance:
    """Return the unbiased squared MMD between two samples of features, with k(x, y) = (x.y / d + 1)^3.

    The error is that of the first-order projection of the U-statistic (Sutherland et al. 2017). It is too large for
    equal distributions, where the projection vanishes.

    Args:
        x: (n, d) features, n >= 2.
        y: (m, d) features, m >= 2.

    Raises:
        ValueError: if the features do not match, or a sample has fewer than two images.

    >>> distance = kernel_distance(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]))
    >>> distance.value, round(distance.error, 2)
    (9.5, 19.04)
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"expected two samples (n, d) and (m, d), at least 2 each, got {x.shape} and {y.shape}")
    n, m = len(x), len(y)
    within_x, within_y = _row_sums(x, x, diagonal=False) / (n - 1), _row_sums(y, y, diagonal=False) / (m - 1)
    across_x, across_y = _row_sums(x, y) / m, _row_sums(y, x) / n
    value = within_x.mean() + within_y.mean() - 2.0 * across_x.mean()
    variance = 4.0 * ((within_x - across_x).var(ddof=1) / n + (within_y - across_y).var(ddof=1) / m)
    return SquaredDistance(float(value), float(np.sqrt(variance)))


def _row_sums(x: NDArray[np.floating], y: NDArray[np.floating], diagonal: bool = True) -> NDArray[np.float64]:
    """Return the sums (n,) of k(x_i, y_j) over j, without j = i if ``diagonal`` is False."""
    d = x.shape[1]
    columns = y.astype(np.float64).T
    sums = [
        ((x[start : start + BLOCK].astype(np.float64) @ columns / d + 1.0) ** 3).sum(axis=1)
        for start in range(0, len(x), BLOCK)
    ]
    own = 0.0 if diagonal else ((x.astype(np.float64) ** 2).sum(axis=1) / d + 1.0) ** 3
    return np.concatenate(sums) - own


def frechet_name(features: str) -> str:
    """Return the name of the distance in a feature space.

    >>> frechet_name("inception"), frechet_name("fitted")
    ('FID', 'Frechet distance')
    """
    return "FID" if features == "inception" else "Frechet distance"


class Moments(NamedTuple):
    """Mean (d,) and covariance (d, d), float64."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


def moments(features: NDArray[np.floating]) -> Moments:
    """Return the mean and the unbiased covariance of a sample (n, d), n >= 2."""
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    return Moments(mean, centred.T @ centred / (len(features) - 1))


def frechet_distance(first: Moments, second: Moments) -> float:
    """Return |m1 - m2|^2 + Tr S1 + Tr S2 - 2 Tr (S1^1/2 S2 S1^1/2)^1/2 (Dowson & Landau 1982, equation 4).

    Symmetric matrices keep the eigenvalues real even for singular covariances. Moments of n images bias the distance
    upwards by about a constant over n.

    >>> frechet_distance(Moments(np.zeros(2), np.eye(2)), Moments(np.array([3.0, 0.0]), 4 * np.eye(2)))
    11.0
    """
    values, vectors = _eigen(first.covariance)
    root = (vectors * np.sqrt(values)) @ vectors.T
    product = _eigen(root @ second.covariance @ root)[0]
    shift = first.mean - second.mean
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    return float(shift @ shift + traces - 2.0 * np.sqrt(product).sum())


def enough_images(n: int, d: int) -> bool:
    """Return whether samples of ``n`` images suffice to extrapolate the distance of ``d`` features.

    >>> enough_images(128, 64), enough_images(127, 64)
    (True, False)
    """
    return n >= max(IMAGES_PER_FEATURE * d, 4)


def extrapolated_frechet_distance(x: NDArray[np.floating], y: NDArray[np.floating], seed: int) -> SquaredDistance:
    """Return the distance without the bias of finite samples (Chong & Forsyth 2020).

    The bias is a/n + b/m. Both samples are reduced together by the same share, which makes it linear in one over that
    share. The intercept of a regression line through ``SIZES`` means over random subsets has no bias of either sample.
    Chong & Forsyth reduce only the fakes, beside the moments of very many reals.

    The squared error is the sum of two terms. One is the intercept's in the regression. The other is that of the
    first-order dependence on single images of both samples (derivative by Rippl, Munk & Sturm 2016). It is too large
    for equal distributions, where the first order vanishes.

    Args:
        x: (n, d) features.
        y: (m, d) features.
        seed: seed of the subsets.

    Raises:
        ValueError: if the features do not match, or a sample has fewer than ``IMAGES_PER_FEATURE`` images per feature.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"expected two samples (n, d) and (m, d), got {x.shape} and {y.shape}")
    d = x.shape[1]
    if not enough_images(min(len(x), len(y)), d):
        raise ValueError(f"expected at least {IMAGES_PER_FEATURE} images per feature, got {x.shape} and {y.shape}")
    rng = np.random.default_rng(seed)
    inverse = np.linspace(1.0, 2.0, SIZES)
    repeats = min(REPEATS, max(1, 512 // d))
    distances = [frechet_distance(moments(x), moments(y))]
    for share in 1.0 / inverse[1:]:
        subsets = [
            frechet_distance(
                *(moments(sample[rng.permutation(len(sample))[: round(share * len(sample))]]) for sample in (x, y))
            )
            for _ in range(repeats)
        ]
        distances.append(float(np.mean(subsets)))
    line: Any = linregress(inverse, distances)
    sampling = _sampling_variance(x, y) + _sampling_variance(y, x)
    return SquaredDistance(float(line.intercept), float(np.sqrt(sampling + line.intercept_stderr**2)))


def _sampling_variance(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Return the variance of the distance over draws of x: that of 2 (m1 - m2).c + c.(1 - T) c for centred images c.

    T = S1^-1/2 (S1^1/2 S2 S1^1/2)^1/2 S1^-1/2 transports one Gaussian to the other, and 1 - T is the derivative of the
    distance with respect to S1.
    """
    own, other = moments(x), moments(y)
    values, vectors = _eigen(own.covariance)
    inverse = np.divide(1.0, np.sqrt(values), out=np.zeros_like(values), where=values > 1e-10 * values[-1])
    root = (vectors * np.sqrt(values)) @ vectors.T
    product, axes = _eigen(root @ other.covariance @ root)
    inverse_root = (vectors * inverse) @ vectors.T
    transport = inverse_root @ ((axes * np.sqrt(product)) @ axes.T) @ inverse_root
    centred = x - own.mean
    each = 2.0 * centred @ (own.mean - other.mean) + (centred**2).sum(axis=1) - ((centred @ transport) * centred).sum(1)
    return float(each.var(ddof=1) / len(x))


def _eigen(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the eigenvalues, negative ones clipped to 0, and eigenvectors of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return values.clip(0.0), vectors
