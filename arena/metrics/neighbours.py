"""Nearest-neighbour metrics of features: precision, recall, density, coverage and memorisation."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from arena.metrics.interval import Interval


class PrecisionRecall(NamedTuple):
    """Quality and variety of fakes beside reals.

    Args:
        precision: share of fakes in the ball of a real.
        recall: share of reals in the ball of a fake.
        density: mean number of reals' balls that hold a fake, divided by k. It may exceed 1, and its expectation is 1
            for equal distributions.
        coverage: share of reals whose ball holds a fake.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(real: NDArray[np.floating], fake: NDArray[np.floating], k: int = 5) -> PrecisionRecall:
    """Return precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

    The ball of an image extends to its k-th nearest neighbour in its own sample, itself not counted.

    Args:
        real: (n, d) features, n > k.
        fake: (m, d) features, m > k.
        k: number of neighbours.

    Raises:
        ValueError: if the features do not match, or a sample has k images or fewer.

    >>> real, fake = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [0.6], [9.0]])
    >>> [round(value, 2) for value in precision_recall(real, fake, k=1)]
    [0.67, 0.67, 1.33, 0.67]
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or min(len(real), len(fake)) <= k:
        raise ValueError(f"expected samples (n, d) and (m, d) of more than k={k}, got {real.shape} and {fake.shape}")
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    # The radius of an image's ball: the distance to its k-th neighbour.
    radius_real, radius_fake = (
        NearestNeighbors(n_neighbors=k, algorithm="brute").fit(sample).kneighbors()[0][:, -1] for sample in (real, fake)
    )
    balls = np.zeros(len(fake))
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    start = 0
    for distances in pairwise_distances_chunked(real, fake):
        rows = slice(start, start := start + len(distances))
        within_real = distances <= radius_real[rows, None]
        balls += within_real.sum(axis=0)
        covered[rows] = within_real.any(axis=1)
        recalled[rows] = (distances <= radius_fake).any(axis=1)
    return PrecisionRecall(
        precision=float((balls > 0).mean()),
        recall=float(recalled.mean()),
        density=float(balls.mean() / k),
        coverage=float(covered.mean()),
    )


def memorisation(
    fake: NDArray[np.floating], train: NDArray[np.floating], reference: NDArray[np.floating], seed: int
) -> Interval:
    """Return the share of fakes closer to the training set than to an equally large reference: 1/2 without copies.

    Ties count half. Fakes that share their nearest real count as one, because under the null hypothesis only that
    real's membership in the training set is random. The 95% interval is Wilson's (1927) at Kish's (1965) effective
    number of fakes, (sum n_c)^2 / sum n_c^2 over clusters of n_c fakes.

    Args:
        fake: (m, d) features.
        train: (n, d) features of the generator's training images.
        reference: (r, d) features of other reals. The larger of both sets is subsampled to the size of the smaller.
        seed: seed of the subsample.

    Raises:
        ValueError: if the features do not match, or a set is empty.

    >>> copied = memorisation(np.array([[0.1], [5.0], [9.1]]), np.array([[0.0], [9.0]]), np.array([[3.0], [6.0]]), 0)
    >>> [round(value, 2) for value in copied]
    [0.67, 0.21, 0.94]
    """
    if len({fake.shape[1:], train.shape[1:], reference.shape[1:]}) > 1 or fake.ndim != 2:
        raise ValueError(f"expected features (n, d), got {fake.shape}, {train.shape} and {reference.shape}")
    if min(len(fake), len(train), len(reference)) == 0:
        raise ValueError("expected at least one fake, one training and one reference image")
    rng = np.random.default_rng(seed)
    size = min(len(train), len(reference))
    to_train, in_train = _nearest(fake, train[rng.permutation(len(train))[:size]])
    to_reference, in_reference = _nearest(fake, reference[rng.permutation(len(reference))[:size]])
    closer = np.where(to_train == to_reference, 0.5, (to_train < to_reference).astype(np.float64))
    cluster = np.where(to_train <= to_reference, in_train, size + in_reference)
    share, n = float(closer.mean()), len(fake) ** 2 / float((np.bincount(cluster) ** 2.0).sum())
    z = float(norm.ppf(0.975))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Interval(share, float(centre - half), float(centre + half)).clipped()


def _nearest(
    points: NDArray[np.floating], sample: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distance to the nearest neighbour in a sample, and its index.

    The distance is computed from differences, so that equal images are at exactly 0.
    """
    points, sample = points.astype(np.float64), sample.astype(np.float64)
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(sample)
    index = search.kneighbors(points, return_distance=False)[:, 0]
    return np.sqrt(((points - sample[index]) ** 2).sum(axis=1)), index
