"""Are the fakes like reals, and as varied? Precision and recall, density and coverage, by k nearest neighbours."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors


class PrecisionRecall(NamedTuple):
    """Figures in [0, 1], but ``density``, which may exceed 1 and is 1 in expectation for equal distributions."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(real: NDArray[np.floating], fake: NDArray[np.floating], k: int = 5) -> PrecisionRecall:
    """Precision, recall (Kynkaanniemi et al. 2019), density, coverage (Naeem et al. 2020).

    The ball of an image reaches to its k-th nearest neighbour in its own sample, itself not counted.

    Args:
        real: (n, d) features, n > k.
        fake: (m, d) features, m > k.
        k: neighbours.

    Returns:
        precision: share of fakes in the ball of a real; recall: share of reals in the ball of a fake; density: mean
        number of reals' balls a fake is in, over k; coverage: share of reals whose ball holds a fake.

    Raises:
        ValueError: if the features do not match, or a sample has k images or fewer.
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or min(len(real), len(fake)) <= k:
        raise ValueError(f"expected samples (n, d) and (m, d) of more than k={k}, got {real.shape} and {fake.shape}")
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    of_real, of_fake = radii(real, k), radii(fake, k)
    balls = np.zeros(len(fake))
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    start = 0
    for distances in pairwise_distances_chunked(real, fake):
        rows = slice(start, start := start + len(distances))
        within_real = distances <= of_real[rows, None]
        balls += within_real.sum(axis=0)
        covered[rows] = within_real.any(axis=1)
        recalled[rows] = (distances <= of_fake).any(axis=1)
    return PrecisionRecall(
        precision=float((balls > 0).mean()),
        recall=float(recalled.mean()),
        density=float(balls.mean() / k),
        coverage=float(covered.mean()),
    )


def radii(sample: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """(n,) distance of each point to its k-th nearest neighbour within its own sample, itself not counted."""
    distances, _ = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(sample).kneighbors()
    return distances[:, -1]
