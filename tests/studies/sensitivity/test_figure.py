import math

import pytest
from matplotlib import colormaps

from arena.figures.axes import contrast, png
from arena.studies.sensitivity.figure import sensitivity
from arena.studies.sensitivity.search import DetectionLimit

NONE, SHARP, DULL = DetectionLimit(64, None, None), DetectionLimit(0, 1, 1.0), DetectionLimit(30, 37, 33.0)
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
    panel = sensitivity({"it": {str(k): DetectionLimit(k, k + 1, float(k)) for k in amplitudes}}, {}, 64).axes[0]
    for amplitude, text in zip(amplitudes, panel.texts, strict=True):
        ground = colormaps["viridis"](math.log(amplitude, 64))[:3]
        assert contrast(ground, text.get_color()) >= 3, amplitude


def test_what_nothing_caught_is_hatched_and_nothing_else_is(axes):
    """Light yellow is as light as any grey: a grey print tells them apart by the hatching."""
    hatched = {patch.get_xy() for patch in axes[0].patches if patch.get_hatch()}
    assert hatched == {(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5)}


def test_the_scale_is_in_octaves_of_grey_levels(axes):
    assert [label.get_text() for label in axes[1].get_yticklabels()] == ["1", "2", "4", "8", "16", "32", "64"]


def test_the_scale_says_what_is_told(axes):
    assert "AUC 0.75" in axes[1].get_ylabel()


def test_equal_limits_are_equal_bytes():
    assert png(sensitivity(LIMITS, {}, 64)) == png(sensitivity(LIMITS, {}, 64))
