"""An axis for AUC that opens up towards 1: equal steps are equal separations of reals and fakes.

Two normal distributions d' apart have AUC = Phi(d' / sqrt 2) (Green & Swets 1966), so the axis is linear in the normal
quantile of the AUC. From 0.50 to 0.60 is then as far as from 0.986 to 0.993, which on a linear axis cannot be seen.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

PINNED = 0.999
"""AUC from which on a mark is drawn at the end of the axis: few test sets tell more nines apart."""
_TICKS = (0.01, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, PINNED)


def separation_axis(axes: Axes, lowest: float) -> None:
    """Make the ordinate such an axis, from ``lowest`` (but no higher than 0.4) to ``PINNED``."""
    axes.set_yscale("function", functions=(_quantile, _auc))
    axes.set_ylim(max(1 - PINNED, min(0.4, lowest)), 0.9995)
    axes.yaxis.set_major_locator(FixedLocator(_TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda auc, _: f"≥{auc:g}" if auc >= PINNED else f"{auc:g}"))


def pinned(auc: float) -> float:
    """Where an AUC is drawn on such an axis: itself, or the end of it."""
    return min(max(auc, 1 - PINNED), PINNED)


def _quantile(auc: ArrayLike) -> NDArray[np.float64]:
    return norm.ppf(np.clip(auc, 1e-6, 1 - 1e-6))


def _auc(quantile: ArrayLike) -> NDArray[np.float64]:
    return norm.cdf(quantile)
