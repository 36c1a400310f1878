"""Split the reals into disjoint parts by the data seed (rule of evidence 2)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from arena.core.errors import ArenaError
from arena.core.seeding import derive_seed

Purpose = Literal["train", "control", "outside"]
"""Origin of the fakes: a generator that trains on reals, a control made of reals, or images from outside."""

SHARES: dict[Purpose, dict[str, float]] = {
    "train": {"generator": 0.28, "detector": 0.14, "judge": 0.42, "reference": 0.16},
    "control": {"generator": 0.46, "detector": 0.06, "judge": 0.24, "reference": 0.24},
    "outside": {"detector": 0.30, "judge": 0.35, "reference": 0.35},
}
"""Share of the open reals in each part, by purpose. The judge's sets the error bars, the generator's the quality.

Only a generator that trains could carry the reference reals to the judges. Elsewhere the reference part also judges,
because measuring quality trains nothing. Images from outside owe nothing to a generator part: the detectors' part
stands in for it."""
FEWEST = {"generator": 48, "detector": 24, "judge": 48, "reference": 27}
"""Smallest useful size of each part."""


@dataclass(frozen=True)
class Split:
    """Indices of the parts: int64 arrays, each in random order.

    The first n of a part are therefore a random sample of it, even if files are sorted by class or person.

    Args:
        generator: trains the generator.
        detector: trains and validates the detectors in the loop, whose gradients may carry these images to the
            generator.
        judge: trains and tests the judges. Nothing that reaches the generator is trained on it.
        reference: measures quality and memorisation.
        locked: in no other part, whatever the data seed. With ``judge.locked`` it takes the place of ``judge``.
    """

    generator: NDArray[np.int64]
    detector: NDArray[np.int64]
    judge: NDArray[np.int64]
    reference: NDArray[np.int64]
    locked: NDArray[np.int64]


def split_reals(
    n: int,
    data_seed: int,
    persons: NDArray[np.int64] | None = None,
    locked: float = 0.0,
    purpose: Purpose = "train",
) -> Split:
    """Split n images into the parts.

    Args:
        n: number of images.
        data_seed: seed of the open parts, so that every condition of a study has the same split. The locked part is
            the same for every seed.
        persons: (n,) person in each image, if known; no person is then in two parts.
        locked: share of the images in the locked part.
        purpose: origin of the fakes, which decides the shares of the others.

    Raises:
        ArenaError: if there are too few images for the smallest useful parts.
    """
    shares, sources = SHARES[purpose], sources_of(n, persons)
    kept_back = partition(sources, np.array([round(locked * n)]), np.random.default_rng(derive_seed(0, "locked"))) == 0
    is_open = np.flatnonzero(~kept_back)
    needed = max(int(np.ceil(FEWEST[part] / share)) for part, share in shares.items())
    if len(is_open) < needed:
        beside = f" beside {n - len(is_open)} locked ones" if locked else ""
        raise ArenaError(f"data: {len(is_open)} usable images{beside}, but the splits need at least {needed}")
    rng = np.random.default_rng(derive_seed(data_seed, "split"))
    edges = np.round(np.cumsum([*shares.values()][:-1]) * len(is_open))
    part = partition(sources_of(len(is_open), sources[is_open]), edges, rng)
    parts = {name: rng.permutation(is_open[part == k]) for k, name in enumerate(shares)}
    for name, drawn in parts.items():
        if len(drawn) < FEWEST[name]:
            raise ArenaError(
                f"data: split by person, {len(drawn)} of {n} usable images are left to the {name} part, which needs at "
                f"least {FEWEST[name]}: {sources.max() + 1} persons (or photographs with their copies) are too few or "
                "too unequal"
            )
    if purpose != "train":
        parts["judge"] = rng.permutation(np.concatenate([parts["judge"], parts["reference"]]))
    parts.setdefault("generator", parts["detector"])
    return Split(**parts, locked=rng.permutation(np.flatnonzero(kept_back)))


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
