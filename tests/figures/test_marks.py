import numpy as np

from arena.figures.axes import contrast, luminance
from arena.figures.marks import REGIMES, mark_of


def lightness(colour: str) -> float:
    """CIE 1976 L*, 0 to 100: the perceived lightness of a luminance."""
    relative = luminance(colour)
    return 116 * relative ** (1 / 3) - 16 if relative > 0.008856 else 903.3 * relative


def test_a_grey_print_tells_the_regimes_apart():
    tones = sorted(lightness(mark.colour) for mark in REGIMES.values())
    assert min(np.diff(tones)) >= 15
    assert len({(mark.marker, mark.filled) for mark in REGIMES.values()}) == len(REGIMES)


def test_every_mark_stands_out_from_the_page():
    """At least 3 to 1, which WCAG 2.1 asks of graphics."""
    for mark in (*REGIMES.values(), *map(mark_of, range(6))):
        assert contrast(mark.colour, "white") >= 3, mark


def test_marks_differ_without_their_colours():
    assert len({mark_of(k)[1:] for k in range(36)}) == 36
    assert mark_of(36) == mark_of(0)
    for one, other in ((0, 1), (1, 2), (0, 2)):  # nearly every figure has three conditions at most
        assert abs(lightness(mark_of(one).colour) - lightness(mark_of(other).colour)) >= 12
