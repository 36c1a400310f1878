"""Nearest-neighbour metrics of features: precision, recall, density and coverage."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors


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
