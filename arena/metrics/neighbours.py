"""Nearest-neighbour metrics: precision, recall, density, coverage and memorisation."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
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


class Memorisation(NamedTuple):
    """Share of fakes nearer to the training set, ties counting half, with the ends of its 95% interval."""

    share: float
    low: float
    high: float


def memorisation(
    fake: NDArray[np.floating], train: NDArray[np.floating], reference: NDArray[np.floating], seed: int
) -> Memorisation:
    """The share, with an interval that knows that fakes share neighbours.

    What is random under the null is which of a fake's neighbours was trained on, so fakes with the same nearest real
    count as one: the interval is Wilson's (1927) at Kish's (1965) effective number of fakes, (sum n_c)^2 / sum n_c^2
    over clusters of n_c fakes.

    Args:
        fake: (m, d) features.
        train: (n, d) features of what the generator was trained on.
        reference: (r, d) features of reals it never saw; of the larger set only as many count as of the smaller.
        seed: of that choice.

    Raises:
        ValueError: if the features do not match, or a set is empty.
    """
    if len({fake.shape[1:], train.shape[1:], reference.shape[1:]}) > 1 or fake.ndim != 2:
        raise ValueError(f"expected features (n, d), got {fake.shape}, {train.shape} and {reference.shape}")
    if min(len(fake), len(train), len(reference)) == 0:
        raise ValueError("expected at least one fake, one training and one reference image")
    rng = np.random.default_rng(seed)
    size = min(len(train), len(reference))
    to_train, in_train = _nearest(fake, train[rng.permutation(len(train))[:size]])
    to_reference, in_reference = _nearest(fake, reference[rng.permutation(len(reference))[:size]])
    nearer = np.where(to_train == to_reference, 0.5, (to_train < to_reference).astype(np.float64))
    cluster = np.where(to_train <= to_reference, in_train, size + in_reference)
    return _wilson(float(nearer.mean()), len(fake) ** 2 / float((np.bincount(cluster) ** 2.0).sum()))


def _nearest(
    points: NDArray[np.floating], among: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance to the nearest and its index; the distance from differences, so that equal images are at exactly 0."""
    points, among = points.astype(np.float64), among.astype(np.float64)
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(among)
    index = search.kneighbors(points, return_distance=False)[:, 0]
    return np.sqrt(((points - among[index]) ** 2).sum(axis=1)), index


def _wilson(share: float, n: float) -> Memorisation:
    z = float(norm.ppf(0.975))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Memorisation(share, float(max(0.0, centre - half)), float(min(1.0, centre + half)))
