"""Disjoint reals: who may see which, drawn once by the data seed (rule of evidence 2)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.errors import ArenaError
from arena.seeding import derive_seed

# Shares of the reals. The judge's and the generator's are largest: they set the error bars and the images.
SHARES = {"generator": 0.30, "detector": 0.17, "judge": 0.30, "reference": 0.23}
# Fewest images of a part that leave its use a meaning (a judge's fold of a dozen, say).
FEWEST = {"generator": 48, "detector": 24, "judge": 48, "reference": 32}


@dataclass(frozen=True)
class Split:
    """Indices of the four parts, disjoint, each sorted: int64 arrays.

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
    groups = np.arange(n) if persons is None else np.unique(persons, return_inverse=True)[1]
    rank = rng.permutation(groups.max() + 1)[groups]
    # Images in the order of their person's rank; the place of a person's first image decides for the whole person.
    position = np.searchsorted(np.sort(rank), rank, side="left")
    edges = np.round(np.cumsum(list(SHARES.values())) * n).astype(np.int64)
    part = np.searchsorted(edges, position, side="right").clip(max=len(SHARES) - 1)
    split = Split(*(np.flatnonzero(part == k) for k in range(len(SHARES))))
    for name, fewest in FEWEST.items():
        if (found := len(getattr(split, name))) < fewest:
            raise ArenaError(
                f"data: split by person, {found} of {n} usable images are left to the {name} part, "
                f"which needs at least {fewest}: {groups.max() + 1} persons are too few or too unequal"
            )
    return split


def folds(n: int, k: int, seed: int) -> NDArray[np.uint8]:
    """Deal n images into k folds of nearly equal size: (n,) uint8, for the cross-fitting of judges."""
    return np.random.default_rng(seed).permutation(np.arange(n, dtype=np.int64) % k).astype(np.uint8)
