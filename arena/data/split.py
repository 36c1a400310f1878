"""Disjoint reals: who may see which, drawn once by the data seed (rule of evidence 2)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.core.errors import ArenaError
from arena.core.seeding import derive_seed

# Shares of the reals. The judge's and the generator's are largest: they set the error bars and the images.
SHARES = {"generator": 0.30, "detector": 0.17, "judge": 0.30, "reference": 0.23}
# Of the reals beside images made outside, whose maker learns nothing here: the part of the detectors in the loop.
OUTSIDE_SHARE = 0.3
# Fewest images of a part that leave its use a meaning (a judge's fold of a dozen, say).
FEWEST = {"generator": 48, "detector": 24, "judge": 48, "reference": 32}


@dataclass(frozen=True)
class Split:
    """Indices of the four parts, disjoint, each in an order drawn at random: int64 arrays.

    So the first n of a part are a sample of it, though files lie class by class or person by person.
    ``generator`` trains the generator; ``detector`` trains (and stops) the detectors in the loop, whose gradients may
    carry these images to the generator; ``judge`` trains and tests the judges, and nothing the generator ever learns
    from; ``reference`` is for quality and memorisation.
    """

    generator: NDArray[np.int64]
    detector: NDArray[np.int64]
    judge: NDArray[np.int64]
    reference: NDArray[np.int64]


def split_reals(n: int, data_seed: int, persons: NDArray[np.int64] | None = None) -> Split:
    """Split n images into the four parts.

    Args:
        n: images.
        data_seed: the only seed that matters here, so that every condition of a study splits alike.
        persons: (n,) who each image shows, where the data knows: nobody is then in two parts.

    Raises:
        ArenaError: where the images do not suffice for the smallest useful parts; it names both numbers.
    """
    needed = max(int(np.ceil(FEWEST[part] / SHARES[part])) for part in SHARES)
    if n < needed:
        raise ArenaError(f"data: {n} usable images, but the splits need at least {needed}")
    rng = np.random.default_rng(derive_seed(data_seed, "split"))
    sources = sources_of(n, persons)
    part = cut(sources, np.round(np.cumsum([*SHARES.values()][:-1]) * n), rng)
    split = Split(*(rng.permutation(np.flatnonzero(part == k)) for k in range(len(SHARES))))
    for name, fewest in FEWEST.items():
        if (found := len(getattr(split, name))) < fewest:
            raise ArenaError(
                f"data: split by person, {found} of {n} usable images are left to the {name} part, "
                f"which needs at least {fewest}: {sources.max() + 1} persons are too few or too unequal"
            )
    return split


def split_for_judging(n: int, data_seed: int, persons: NDArray[np.int64] | None = None) -> Split:
    """Split n images where no generator learns from any: none need be set aside for one.

    The judges test on ``judge`` and may learn from ``detector`` too, since nothing carries those reals into a fake.
    Half of the judge's are the ``reference`` of quality, which teaches nobody anything; ``generator``, the training set
    nobody has, is the detectors' part.

    Args:
        n: images.
        data_seed: the only seed that matters here.
        persons: (n,) who each image shows, where the data knows: nobody is then in two parts.

    Raises:
        ArenaError: where the images do not suffice for the smallest useful parts; it names both numbers.
    """
    needed = int(np.ceil(max(FEWEST["detector"] / OUTSIDE_SHARE, 2 * FEWEST["reference"] / (1 - OUTSIDE_SHARE))))
    if n < needed:
        raise ArenaError(f"data: {n} usable images, but the splits need at least {needed}")
    rng = np.random.default_rng(derive_seed(data_seed, "split"))
    part = cut(sources_of(n, persons), np.round(np.array([OUTSIDE_SHARE, (1 + OUTSIDE_SHARE) / 2]) * n), rng)
    detector, reference, others = (rng.permutation(np.flatnonzero(part == k)) for k in range(3))
    return Split(detector, detector, rng.permutation(np.concatenate([reference, others])), reference)


def sources_of(n: int, persons: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """What each of n images comes from, (n,) from 0 on: its person, or itself where nobody knows persons.

    Images of one source are alike whoever judges them, so all that is cut is cut between sources.
    """
    return np.arange(n) if persons is None else np.unique(persons, return_inverse=True)[1].astype(np.int64)


def cut(
    sources: NDArray[np.int64], edges: NDArray[np.floating] | NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Deal images into parts, no source into two: part 0 of about the first ``edges[0]`` at random, and so on.

    Args:
        sources: (n,) of each image, as ``sources_of`` says.
        edges: places among the n at which a part ends, ascending; what is left after the last is one part more.
        rng: draws the order of the sources.

    Returns:
        The part of each image, (n,) from 0 to ``len(edges)``.
    """
    rank = rng.permutation(sources.max(initial=-1) + 1)[sources]
    # Images in the order of their source's rank; the place of a source's first image decides for all of them.
    position = np.searchsorted(np.sort(rank), rank, side="left")
    return np.searchsorted(edges, position, side="right")


def folds(sources: NDArray[np.int64], k: int, seed: int) -> NDArray[np.uint8]:
    """Deal images into k folds of nearly equal size: (n,) uint8, for the cross-fitting of judges."""
    edges = np.round(np.arange(1, k) * len(sources) / k)
    return cut(sources, edges, np.random.default_rng(seed)).astype(np.uint8)
