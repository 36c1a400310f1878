import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.figure import Figure
from scipy.stats import norm

from arena.figures.axes import AXIS_END, FAINT, INK, contrast, ink_on, separation_axis, within_axis


def test_contrast_is_that_of_the_standard():
    """Worked values of WCAG 2.1: black on white 21, a colour on itself 1, #777777 on white 4.48."""
    assert contrast("black", "white") == contrast("white", "black") == pytest.approx(21.0)
    assert contrast("#d55e00", "#d55e00") == 1.0
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.005)


def test_text_and_axes_stand_out_from_the_page():
    """At least 3 to 1, which WCAG 2.1 asks of graphics."""
    assert min(contrast(colour, "white") for colour in (FAINT, INK)) >= 3


@pytest.mark.parametrize("name", ["viridis", "PuOr_r", "gray"])
def test_text_on_any_colour_can_be_read(name):
    for share in np.linspace(0, 1, 256):
        ground = colormaps[name](share)[:3]
        assert contrast(ground, ink_on(ground)) >= 3, share


def test_equal_steps_of_a_separation_axis_are_equal_separations():
    axes = Figure().subplots()
    separation_axis(axes, 0.3)
    shift = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])  # d' / sqrt 2 of two normal distributions
    heights = axes.transData.transform([(0.0, auc) for auc in norm.cdf(shift)])[:, 1]
    np.testing.assert_allclose(np.diff(heights), np.diff(heights)[0], rtol=1e-6)


@pytest.mark.parametrize(("auc", "height"), [(0.5, 0.5), (1.0, AXIS_END), (AXIS_END, AXIS_END), (0.0, 1 - AXIS_END)])
def test_an_auc_beyond_the_axis_is_drawn_at_its_end(auc, height):
    assert within_axis(auc) == height


@pytest.mark.parametrize("lowest", [-1.0, 0.0, 0.2, 0.9])
def test_a_separation_axis_holds_the_lowest_and_chance(lowest):
    axes = Figure().subplots()
    separation_axis(axes, lowest)
    low, high = axes.get_ylim()
    assert 0 < low <= max(lowest, 1 - AXIS_END)
    assert low < 0.45
    assert AXIS_END < high < 1
