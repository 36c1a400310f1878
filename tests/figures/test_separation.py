import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import norm

from arena.figures.axes import PINNED, pinned, separation_axis


def test_equal_steps_are_equal_separations():
    axes = Figure().subplots()
    separation_axis(axes, 0.3)
    shift = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])  # d' / sqrt 2 of two normal distributions
    heights = axes.transData.transform([(0.0, auc) for auc in norm.cdf(shift)])[:, 1]
    np.testing.assert_allclose(np.diff(heights), np.diff(heights)[0], rtol=1e-6)


@pytest.mark.parametrize(("auc", "drawn"), [(0.5, 0.5), (1.0, PINNED), (PINNED, PINNED), (0.0, 1 - PINNED)])
def test_what_lies_beyond_is_drawn_at_the_end(auc, drawn):
    assert pinned(auc) == drawn


@pytest.mark.parametrize("lowest", [-1.0, 0.0, 0.2, 0.9])
def test_the_axis_holds_the_lowest_and_chance(lowest):
    axes = Figure().subplots()
    separation_axis(axes, lowest)
    low, high = axes.get_ylim()
    assert 0 < low <= max(lowest, 1 - PINNED)
    assert low < 0.45
    assert PINNED < high < 1
