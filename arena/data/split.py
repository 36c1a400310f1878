"""Split the reals into disjoint parts by the data seed (rule of evidence 2)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.core.errors import ArenaError
from arena.core.seeding import derive_seed

SHARES = {"generator": 0.30, "detector": 0.17, "judge": 0.30, "reference": 0.23}
"""Share of the reals in each part. The judge's sets the error bars, and the generator's the quality of the fakes."""
OUTSIDE_SHARE = 0.3
"""Share of the detectors in the loop if the fakes were made outside, where no reals train a generator."""
FEWEST = {"generator": 48, "detector": 24, "judge": 48, "reference": 32}
"""Smallest useful size of each part."""


@dataclass(frozen=True)
class Split:
    """Indices of the four disjoint parts: int64 arrays, each in random order.

    The first n of a part are therefore a random sample of it, even if files are sorted by class or person.

    Args:
        generator: trains the generator.
        detector: trains and validates the detectors in the loop, whose gradients may carry these images to the
            generator.
        judge: trains and tests the judges. Nothing that reaches the generator is trained on it.
        reference: measures quality and memorisation.
    """

    generator: NDArray[np.int64]
    detector: NDArray[np.int64]
    judge: NDArray[np.int64]
    reference: NDArray[np.int64]


def split_reals(n: int, data_seed: int, persons: NDArray[np.int64] | None = None) -> Split:
    """Split n images into the four parts.

    Args:
        n: number of images.
        data_seed: the only seed used, so that every condition of a study has the same split.
        persons: (n,) person in each image, if known; no person is then in two parts.

    Raises:
        ArenaError: if there are too few images for the smallest useful parts.
    """
    needed = max(int(np.ceil(FEWEST[part] / SHARES[part])) for part in SHARES)
    if n < needed:
        raise ArenaError(f"data: {n} usable images, but the splits need at least {needed}")
    rng = np.random.default_rng(derive_seed(data_seed, "split"))
    sources = sources_of(n, persons)
    part = partition(sources, np.round(np.cumsum([*SHARES.values()][:-1]) * n), rng)
    split = Split(*(rng.permutation(np.flatnonzero(part == k)) for k in range(len(SHARES))))
    for name, fewest in FEWEST.items():
        if (size := len(getattr(split, name))) < fewest:
            raise ArenaError(
                f"data: split by person, {size} of {n} usable images are left to the {name} part, "
                f"which needs at least {fewest}: {sources.max() + 1} persons are too few or too unequal"
            )
    return split


def split_for_judging(n: int, data_seed: int, persons: NDArray[np.int64] | None = None) -> Split:
    """Split n images for fakes made outside, where no reals train a generator.

    The detectors' part stands in for the generator's. Half of the judges' part is also the reference, because measuring
    quality trains nothing.

    Args:
        n: number of images.
        data_seed: the only seed used.
        persons: (n,) person in each image, if known; no person is then in two parts.

    Raises:
        ArenaError: if there are too few images for the smallest useful parts.
    """
    needed = int(np.ceil(max(FEWEST["detector"] / OUTSIDE_SHARE, 2 * FEWEST["reference"] / (1 - OUTSIDE_SHARE))))
    if n < needed:
        raise ArenaError(f"data: {n} usable images, but the splits need at least {needed}")
    rng = np.random.default_rng(derive_seed(data_seed, "split"))
    edges = np.round(np.array([OUTSIDE_SHARE, (1 + OUTSIDE_SHARE) / 2]) * n)
    part = partition(sources_of(n, persons), edges, rng)
    detector, reference, others = (rng.permutation(np.flatnonzero(part == k)) for k in range(3))
    return Split(detector, detector, rng.permutation(np.concatenate([reference, others])), reference)


def sources_of(n: int, persons: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return the source (n,) of each image, numbered from 0: its person, or the image itself if persons are unknown.

    Images of one source are alike, so every partition keeps sources whole.

    >>> sources_of(4, np.array([7, 3, 7, 9])).tolist()
    [1, 0, 1, 2]
    """
    return np.arange(n) if persons is None else np.unique(persons, return_inverse=True)[1].astype(np.int64)


def partition(
    sources: NDArray[np.int64], edges: NDArray[np.floating] | NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Assign images to parts at random, keeping every source in one part.

    Args:
        sources: (n,) source of each image, as ``sources_of`` numbers them.
        edges: positions among the n images at which a part ends, ascending; the last part takes the rest.
        rng: draws the order of the sources.

    Returns:
        The part of each image, (n,) from 0 to ``len(edges)``.

    >>> partition(np.array([0, 0, 1, 1, 2, 2]), np.array([2, 4]), np.random.default_rng(0)).tolist()
    [2, 2, 0, 0, 1, 1]
    """
    rank = rng.permutation(sources.max(initial=-1) + 1)[sources]
    # Images are ordered by the rank of their source. The position of a source's first image decides for all of them.
    position = np.searchsorted(np.sort(rank), rank, side="left")
    return np.searchsorted(edges, position, side="right")


def folds(sources: NDArray[np.int64], k: int, seed: int) -> NDArray[np.uint8]:
    """Assign images to k folds of nearly equal size, (n,) uint8, for the cross-fitting of judges."""
    edges = np.round(np.arange(1, k) * len(sources) / k)
    return partition(sources, edges, np.random.default_rng(seed)).astype(np.uint8)
