import numpy as np
import pytest
from scipy.stats import norm

from arena.figures.axes import png
from arena.studies.calibration.figure import band, calibration
from tests.studies.calibration.outcomes import oracle, study


@pytest.fixture(scope="module")
def figure():
    return calibration(study())


def panel(figure, letter):
    return next(axes for axes in figure.axes if axes.get_title(loc="left").startswith(f"{letter}  "))


@pytest.mark.parametrize("n", [20, 100])
def test_a_normal_sample_leaves_the_band_in_one_case_of_twenty(n):
    rng, (low, high) = np.random.default_rng(7), band(n)
    z = np.sort(rng.normal(size=(1000, n)), axis=1)
    outside = ((z < low) | (z > high)).any(axis=1).mean()
    assert 0.025 < outside < 0.08
    wide = ((1.3 * z < low) | (1.3 * z > high)).any(axis=1).mean()
    assert wide > 2 * outside


def test_the_mean_line_is_as_steep_as_z_is_wide():
    lines = oracle("digits", ("dct",), 300, 1.0) + oracle("portraits", ("dct",), 300, 1.5)
    drawn = calibration(lines)
    for letter, deviation in (("a", 1.0), ("d", 1.5)):
        verdicts = next(line for line in panel(drawn, letter).lines if line.get_label() == "error: the verdict's")
        slope = np.polyfit(*(np.asarray(of, float) for of in verdicts.get_data()), deg=1)[0]
        assert slope == pytest.approx(deviation, rel=0.1)


def test_every_technique_has_its_row_and_both_errors(figure):
    labels = [label.get_text() for label in panel(figure, "b").get_yticklabels()]
    assert labels == ["dct, digits", "forest, digits", "dct, portraits", "forest, portraits", "cnn, digits"]
    marks = [line for line in panel(figure, "c").lines if line.get_marker() in ("o", "s")]
    assert len(marks) == 2 * len(labels)


def test_what_was_caught_stands_at_its_amplitude(figure):
    """In the synthetic study every trial with eight levels is caught, by its one technique, which finds nothing."""
    lines = {line.get_label(): line.get_ydata() for line in panel(figure, "e").lines}
    assert list(lines["trials caught"]) == [1.0]
    assert list(lines["techniques caught it"]) == [0.0]
    assert [label.get_text() for label in panel(figure, "e").get_xticklabels()] == ["8"]


def test_what_passed_stands_at_its_number_of_reals(figure):
    lines = {line.get_label(): line.get_ydata() for line in panel(figure, "f").lines}
    assert list(lines["trials passed all"]) == list(lines["techniques passed"]) == [0.0, 1.0]
    assert [label.get_text() for label in panel(figure, "f").get_xticklabels()] == ["100", "800"]


def test_a_study_just_begun_can_be_drawn():
    assert png(calibration(oracle(trials=2)))


def test_equal_outcomes_are_equal_bytes(figure):
    assert png(figure) == png(calibration(study()))


def test_the_band_holds_the_normal_itself():
    low, high = band(40)
    expected = norm.ppf((np.arange(1, 41) - 0.5) / 40)
    assert (low < expected).all()
    assert (expected < high).all()
