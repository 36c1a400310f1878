"""Frechet distance of two samples of features: between Gaussians of their moments, and for endlessly many images.

Named FID by its authors (Heusel et al. 2017) where the features are those of one Inception network, and nowhere else.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import linregress

SIZES = 15
"""Sizes of subsets from half of the samples to all, evenly in 1/n: of Chong & Forsyth's number, in a narrower range,
since curvature in 1/n would bend a line down to smaller subsets."""
REPEATS = 8
"""Subsets of each size; fewer of many features, whose eigenvalues take long and whose distances spread less."""
IMAGES_PER_FEATURE = 2
"""Fewest images a feature: with fewer, half of the sample has a singular covariance, and the line is none."""


def frechet_name(features: str) -> str:
    """What the distance may be called in a feature space of that name."""
    return "FID" if features == "inception" else "Frechet distance"


class Moments(NamedTuple):
    """Mean (d,) and covariance (d, d), float64."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


class FrechetDistance(NamedTuple):
    """Squared distance for endlessly many images (so that chance may make it negative), and its standard error."""

    value: float
    error: float


def moments(features: NDArray[np.floating]) -> Moments:
    """Of a sample (n, d), n >= 2; the covariance unbiased."""
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    return Moments(mean, centred.T @ centred / (len(features) - 1))


def frechet_distance(first: Moments, second: Moments) -> float:
    """|m1 - m2|^2 + Tr S1 + Tr S2 - 2 Tr (S1^1/2 S2 S1^1/2)^1/2 (Frechet 1957; Dowson & Landau 1982, equation 4).

    By eigenvalues of symmetric matrices, which stay real where covariances are singular. Moments of n images make it
    larger than it is, by about as much as 1/n.
    """
    values, vectors = _spectrum(first.covariance)
    root = (vectors * np.sqrt(values)) @ vectors.T
    product = _spectrum(root @ second.covariance @ root)[0]
    apart = first.mean - second.mean
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    return float(apart @ apart + traces - 2.0 * np.sqrt(product).sum())


def enough_images(n: int, d: int) -> bool:
    """Whether samples of ``n`` images suffice to extrapolate the distance of ``d`` features."""
    return n >= max(IMAGES_PER_FEATURE * d, 4)


def extrapolated_frechet_distance(x: NDArray[np.floating], y: NDArray[np.floating], seed: int) -> FrechetDistance:
    """The distance without the bias of finite samples: the intercept of a line in 1/n (Chong & Forsyth 2020).

    They shrink the sample of fakes beside the moments of very many reals. Here reals are as few, and bias the distance
    as much, so both samples shrink together, by the same share: the bias is a/n + b/m, linear in one over that share,
    and the intercept is free of both. ``SIZES`` points are means over random subsets.

    The error is that of the distance's first-order dependence on single images of both samples, each squared (the
    derivative is that of Rippl, Munk & Sturm 2016), and the regression's own of the intercept, added in squares. For
    equal distributions, where the first vanishes, it errs on the large side.

    Args:
        x: (n, d) features.
        y: (m, d) features.
        seed: of the subsets.

    Raises:
        ValueError: if the features do not match, or samples have fewer than ``IMAGES_PER_FEATURE`` images a feature.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"expected two samples (n, d) and (m, d), got {x.shape} and {y.shape}")
    d = x.shape[1]
    if not enough_images(min(len(x), len(y)), d):
        raise ValueError(f"expected at least {IMAGES_PER_FEATURE} images a feature, got {x.shape} and {y.shape}")
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
    sampling = _squared_error(x, y) + _squared_error(y, x)
    return FrechetDistance(float(line.intercept), float(np.sqrt(sampling + line.intercept_stderr**2)))


def _squared_error(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Variance of the distance that draws of x make: of 2 (m1 - m2).c + c.(1 - T) c over its centred images c.

    T = S1^-1/2 (S1^1/2 S2 S1^1/2)^1/2 S1^-1/2 carries one Gaussian into the other, and 1 - T is the distance's
    derivative by S1.
    """
    own, other = moments(x), moments(y)
    values, vectors = _spectrum(own.covariance)
    inverse = np.divide(1.0, np.sqrt(values), out=np.zeros_like(values), where=values > 1e-10 * values[-1])
    root = (vectors * np.sqrt(values)) @ vectors.T
    product, axes = _spectrum(root @ other.covariance @ root)
    inverse_root = (vectors * inverse) @ vectors.T
    transport = inverse_root @ ((axes * np.sqrt(product)) @ axes.T) @ inverse_root
    centred = x - own.mean
    each = 2.0 * centred @ (own.mean - other.mean) + (centred**2).sum(axis=1) - ((centred @ transport) * centred).sum(1)
    return float(each.var(ddof=1) / len(x))


def _spectrum(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues, none below 0, and eigenvectors of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return values.clip(0.0), vectors
