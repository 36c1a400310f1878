"""Kernel distance of reals and fakes: unbiased squared MMD with a cubic kernel (Binkowski et al. 2018, section 4)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024
"""Rows of the kernel matrix in memory at once."""


class KernelDistance(NamedTuple):
    """Squared MMD and its standard error. Its expectation is 0 for equal distributions, so that it may be negative."""

    value: float
    error: float


def kernel_distance(x: NDArray[np.floating], y: NDArray[np.floating]) -> KernelDistance:
    """Return the unbiased squared MMD between two samples of features, with k(x, y) = (x.y / d + 1)^3.

    The error is that of the first-order projection of the U-statistic (Sutherland et al. 2017). It is too large for
    equal distributions, where the projection vanishes.

    Args:
        x: (n, d) features, n >= 2.
        y: (m, d) features, m >= 2.

    Raises:
        ValueError: if the features do not match, or a sample has fewer than two images.

    >>> distance = kernel_distance(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]))
    >>> distance.value, round(distance.error, 2)
    (9.5, 19.04)
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"expected two samples (n, d) and (m, d), at least 2 each, got {x.shape} and {y.shape}")
    n, m = len(x), len(y)
    within_x, within_y = _row_sums(x, x, diagonal=False) / (n - 1), _row_sums(y, y, diagonal=False) / (m - 1)
    across_x, across_y = _row_sums(x, y) / m, _row_sums(y, x) / n
    value = within_x.mean() + within_y.mean() - 2.0 * across_x.mean()
    variance = 4.0 * ((within_x - across_x).var(ddof=1) / n + (within_y - across_y).var(ddof=1) / m)
    return KernelDistance(float(value), float(np.sqrt(variance)))


def _row_sums(x: NDArray[np.floating], y: NDArray[np.floating], diagonal: bool = True) -> NDArray[np.float64]:
    """Return the sums (n,) of k(x_i, y_j) over j, without j = i if ``diagonal`` is False."""
    d = x.shape[1]
    columns = y.astype(np.float64).T
    sums = [
        ((x[start : start + BLOCK].astype(np.float64) @ columns / d + 1.0) ** 3).sum(axis=1)
        for start in range(0, len(x), BLOCK)
    ]
    own = 0.0 if diagonal else ((x.astype(np.float64) ** 2).sum(axis=1) / d + 1.0) ** 3
    return np.concatenate(sums) - own
