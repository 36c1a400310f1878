import numpy as np
import pytest
from matplotlib import colormaps

from arena.figures.axes import FAINT, INK, REGIMES, contrast, ink_on, line, luminance


def lightness(colour: str) -> float:
    """CIE 1976 L*, 0 to 100: what the eye makes of a luminance."""
    relative = luminance(colour)
    return 116 * relative ** (1 / 3) - 16 if relative > 0.008856 else 903.3 * relative


def test_contrast_is_that_of_the_standard():
    """Worked values of WCAG 2.1: black on white 21, a colour on itself 1, #777777 on white 4.48."""
    assert contrast("black", "white") == contrast("white", "black") == pytest.approx(21.0)
    assert contrast("#d55e00", "#d55e00") == 1.0
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.005)


def test_a_grey_print_tells_the_regimes_apart():
    tones = sorted(lightness(stroke.colour) for stroke in REGIMES.values())
    assert min(np.diff(tones)) >= 15
    assert len({(stroke.marker, stroke.filled) for stroke in REGIMES.values()}) == len(REGIMES)


def test_every_mark_stands_out_from_the_page():
    """At least 3 to 1, which WCAG 2.1 asks of graphics."""
    for colour in (*(stroke.colour for stroke in REGIMES.values()), *(line(k).colour for k in range(6)), FAINT, INK):
        assert contrast(colour, "white") >= 3, colour


def test_lines_differ_without_their_colours():
    assert len({line(k)[1:] for k in range(36)}) == 36
    assert line(36) == line(0)
    for one, other in ((0, 1), (1, 2), (0, 2)):  # nearly every figure has three conditions at most
        assert abs(lightness(line(one).colour) - lightness(line(other).colour)) >= 12


@pytest.mark.parametrize("name", ["viridis", "PuOr_r", "gray"])
def test_what_is_written_on_any_colour_can_be_read(name):
    for share in np.linspace(0, 1, 256):
        ground = colormaps[name](share)[:3]
        assert contrast(ground, ink_on(ground)) >= 3, share
