"""Find photographs that are nearly equal, so that copies of one do not stand on both sides of a split."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

SMALLEST = 16
"""Side in pixels from which an image has enough detail to be recognised."""
LIKE = 4
"""Most bits, of 63, in which two images differ that are nearly equal.

On faces of 16 to 64 pixels this found 98 to 100% of 300 copies that were compressed (JPEG, quality 50), halved in
size or made brighter by a fifth, before they were reduced to that side, and 24% of those that lost 3% at each rim.
Copies altered at 16 pixels are found less often: 73% if halved, 88% if compressed. Of 32 million pairs of 7,993 faces
of 64 pixels, 52 were like. By eye, about 5 of them show two people, and one a person twice. The others are copies,
which that set has.
"""
BLOCK = 256
"""Hashes compared with all others at once."""


def groups_of_like(images: Tensor) -> NDArray[np.int64]:
    """Return the number (N,) of the group of each image: images nearly equal, or joined by others that are.

    Images are compared by a perceptual hash: the signs, about their median, of the 63 lowest frequencies of the grey
    image (Zauner 2010, section 3.2.1). Groups are numbered by their first image. Images below ``SMALLEST`` pixels are
    groups of their own, since nothing tells small images from copies.

    Args:
        images: uint8 (N, C, R, R).
    """
    n = len(images)
    if n == 0 or images.shape[-1] < SMALLEST:
        return np.arange(n)
    every = np.concatenate([_hashes(part.numpy()) for part in images.split(BLOCK)])
    hashes, first, place = np.unique(every, return_index=True, return_inverse=True)  # n exact copies would be n^2 pairs
    n, pairs = len(hashes), []
    for start in range(0, n, BLOCK):
        differing = np.bitwise_count(hashes[start : start + BLOCK, None] ^ hashes[None, start:])
        pairs.append(np.argwhere(differing <= LIKE) + start)
    one, other = np.concatenate(pairs).T
    _, group = connected_components(coo_array((np.ones(len(one)), (one, other)), shape=(n, n)), directed=False)
    earliest = np.full(n, len(every))
    np.minimum.at(earliest, group, first)
    return np.unique(earliest[group][place], return_inverse=True)[1].astype(np.int64)


def joined(sources: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sources (N,) of images such that neither a source nor a group is divided.

    >>> joined(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    n = len(sources)
    edges = np.concatenate([np.stack([np.arange(n), n + sources]), np.stack([np.arange(n), 2 * n + groups])], axis=1)
    nodes = 3 * n
    graph = coo_array((np.ones(edges.shape[1]), tuple(edges)), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    return np.unique(component[:n], return_inverse=True)[1].astype(np.int64)


def _hashes(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    grey = images.astype(np.float32).mean(axis=1)
    spectrum = np.asarray(dctn(grey, axes=(1, 2), norm="ortho"))
    lowest = spectrum[:, :8, :8].reshape(len(images), -1)[:, 1:]
    bits = np.zeros((len(images), 64), dtype=bool)
    bits[:, 1:] = lowest > np.median(lowest, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]
