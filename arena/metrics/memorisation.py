"""Does the generator copy? The share of fakes nearer to its training images than to as many it never saw.

After the three-sample test of Meehan, Chaudhuri & Dasgupta (2020): for a generator that copies nothing, training and
reference images are exchangeable, and the share is 1/2.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.neighbors import NearestNeighbors


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
