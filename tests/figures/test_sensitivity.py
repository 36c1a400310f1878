import math

import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from arena.figures.sensitivity import sensitivity
from arena.figures.style import png
from arena.sensitivity.search import Limit

NONE, SHARP, DULL = Limit(64, None, None), Limit(0, 1, 1.0), Limit(30, 37, 33.0)
LIMITS = {
    "blind": {"stripes": NONE, "checkerboard": NONE},
    "dull": {"stripes": NONE, "checkerboard": DULL},
    "sharp": {"stripes": SHARP, "checkerboard": SHARP},
}


@pytest.fixture
def axes():
    return sensitivity(LIMITS, {"sharp": "stripes"}, 64).axes


def test_rows_and_columns_are_as_given(axes):
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["blind", "dull", "sharp"]
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["stripes", "checkerboard"]


def test_every_cell_says_its_limit_and_its_own_artefact_is_bold(axes):
    assert [text.get_text() for text in axes[0].texts] == ["> 64", "> 64", "> 64", "33", "≤ 1", "≤ 1"]
    assert [text.get_weight() == "bold" for text in axes[0].texts] == [False, False, False, False, True, False]


def test_what_is_written_can_be_read_on_its_colour(axes):
    """Contrast of at least 3 to 1 (WCAG 2.1, large text), whatever the limit."""
    amplitudes = (1, 2, 4, 6, 8, 9, 12, 16, 24, 40, 63)
    panel = sensitivity({"it": {str(k): Limit(k, k + 1, float(k)) for k in amplitudes}}, {}, 64).axes[0]
    for amplitude, text in zip(amplitudes, panel.texts, strict=True):
        ground = colormaps["viridis"](math.log(amplitude, 64))[:3]
        light, dark = sorted(map(luminance, (ground, to_rgb(text.get_color()))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, amplitude


def luminance(colour):
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_scale_is_in_octaves_of_grey_levels(axes):
    assert [label.get_text() for label in axes[1].get_yticklabels()] == ["1", "2", "4", "8", "16", "32", "64"]


def test_the_scale_says_what_is_told(axes):
    assert "AUC 0.75" in axes[1].get_ylabel()


def test_equal_limits_are_equal_bytes():
    assert png(sensitivity(LIMITS, {}, 64)) == png(sensitivity(LIMITS, {}, 64))
