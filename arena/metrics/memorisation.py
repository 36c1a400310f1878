"""Tell whether fakes copy the generator's training images: by near copies, exact copies, and closeness on average."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, hypergeom, norm
from sklearn.neighbors import NearestNeighbors

from arena.metrics.interval import Interval

NEAREST = 0.001
"""Share of held-out reals that are as near to a training image as a near copy, or one real if they are few."""
LEVEL = 0.005
"""Error of each of the bounds on the share of near copies."""


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
    _check(fake, train, reference)
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


def copied_at_most(share_high: float, train: int, reference: int) -> float:
    """Return an upper bound on the share of copies among fakes, from the upper end of ``memorisation``'s interval.

    Copies of images in the subsample of the training set are all closer to it, and other fakes are with probability
    1/2. If c of the fakes are copies, and a part s of the training set is in the subsample, the expected share is
    (1 + c s) / 2.

    Args:
        share_high: upper end of the interval.
        train: size of the training set.
        reference: size of the reference.

    >>> copied_at_most(0.55, train=600, reference=300), copied_at_most(0.45, train=300, reference=300)
    (0.2, 0.0)
    """
    return round(float(np.clip((2 * share_high - 1) * train / min(train, reference), 0.0, 1.0)), 12)


class NearCopies(NamedTuple):
    """Fakes that are near copies of single training images.

    Args:
        share: share of fakes whose distance ratio is below that of 99.9% of held-out reals.
        low: lower bound of that share at error ``LEVEL`` (Clopper & Pearson 1934).
        chance: upper bound, at error ``LEVEL``, of the share that fakes like the held-out reals would have. It falls
            with the number of held-out reals.
    """

    share: float
    low: float
    chance: float


def near_copies(fake: NDArray[np.floating], held_out: NDArray[np.floating], train: NDArray[np.floating]) -> NearCopies:
    """Count the fakes that are suspiciously close to one training image.

    The distance ratio of an image is its distance to the nearest training image, divided by that to the second nearest.
    (Carlini et al. 2023 divide by the mean distance to further neighbours.) A copy has ratio 0. The ratio does not fall
    where images are smooth or typical, and hence near to many training images at once, as the distance itself does. It
    is blind to near copies of an image that the training set holds twice.

    Under the null hypothesis, fakes and held-out reals are draws of one distribution. The share of that distribution
    below the k-th smallest ratio of n reals is then Beta(k, n - k + 1).

    Args:
        fake: (m, d) features.
        held_out: (n, d) features of reals that trained neither the generator nor a detector.
        train: (t, d) features of the generator's training images, t >= 2.

    Raises:
        ValueError: if the features do not match, a set is empty, or there is one training image.

    >>> near_copies(np.array([[0.1], [5.0]]), np.array([[3.0], [12.0]]), np.array([[0.0], [9.0], [10.0]])).share
    0.5
    """
    _check(fake, held_out, train)
    if len(train) < 2:
        raise ValueError("expected at least two training images")
    k, n, m = max(1, int(NEAREST * len(held_out))), len(held_out), len(fake)
    threshold = np.sort(_distance_ratio(held_out, train))[k - 1]
    near = int((_distance_ratio(fake, train) < threshold).sum())
    return NearCopies(
        share=near / m,
        low=float(beta.ppf(LEVEL, near, m - near + 1)) if near else 0.0,
        chance=float(beta.isf(LEVEL, k, n - k + 1)),
    )


class ExactCopies(NamedTuple):
    """Fakes that equal a training image.

    Args:
        share: their share of the fakes.
        p: one-sided p of H0: they are no more frequent than among held-out reals (Fisher 1934).
    """

    share: float
    p: float


def exact_copies(fake: NDArray[np.uint8], held_out: NDArray[np.uint8], train: NDArray[np.uint8]) -> ExactCopies:
    """Count the fakes (m, ...) that equal a training image (t, ...), as some held-out reals (n, ...) may by chance.

    >>> exact_copies(np.uint8([[1, 2], [3, 4]]), np.uint8([[5, 6], [7, 8]]), np.uint8([[3, 4], [9, 9]]))
    ExactCopies(share=0.5, p=0.5)
    """
    known = {image.tobytes() for image in train}
    exact, exact_reals = (sum(image.tobytes() in known for image in images) for images in (fake, held_out))
    images = len(fake) + len(held_out)
    return ExactCopies(exact / len(fake), float(hypergeom.sf(exact - 1, images, exact + exact_reals, len(fake))))


def _check(*samples: NDArray[np.floating]) -> None:
    shapes = ", ".join(str(sample.shape) for sample in samples)
    if len({sample.shape[1:] for sample in samples}) > 1 or samples[0].ndim != 2:
        raise ValueError(f"expected features (n, d), got {shapes}")
    if min(map(len, samples)) == 0:
        raise ValueError(f"expected at least one image of each kind, got {shapes}")


def _distance_ratio(points: NDArray[np.floating], sample: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the distance to the nearest neighbour over that to the second nearest: exactly 0 for copies."""
    nearest, second = (_distances(points, sample, index) for index in _neighbours(points, sample, 2).T)
    nearest, second = np.minimum(nearest, second), np.maximum(nearest, second)
    return np.divide(nearest, second, out=np.zeros_like(nearest), where=nearest > 0)


def _nearest(
    points: NDArray[np.floating], sample: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distance to the nearest neighbour in a sample, and its index."""
    index = _neighbours(points, sample, 1)[:, 0]
    return _distances(points, sample, index), index


def _neighbours(points: NDArray[np.floating], sample: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(sample.astype(np.float64))
    return search.kneighbors(points.astype(np.float64), return_distance=False)


def _distances(
    points: NDArray[np.floating], sample: NDArray[np.floating], index: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the distance of each point to its own row of the sample, from differences: equal images are at 0."""
    return np.sqrt(((points.astype(np.float64) - sample[index].astype(np.float64)) ** 2).sum(axis=1))
