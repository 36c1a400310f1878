import numpy as np
from matplotlib.lines import Line2D

from arena.figures.training import training_curves
from arena.records.schema import TrainingRecord
from tests.figures.drawable import keys


def seen(images: int, distance: float | None, *, round_index: int = 0, augmentation: float = 0.0) -> TrainingRecord:
    fault = None if distance is not None else "divergence: a loss was not finite"
    return TrainingRecord(
        round=round_index,
        seed=0,
        purpose="respond" if round_index else "warm-up",
        images=images,
        images_seen=images,
        n=64,
        kernel_distance=distance,
        kernel_distance_error=None if distance is None else 0.01,
        precision=distance,
        recall=distance,
        coverage=distance,
        memorisation=None if distance is None else 0.55,
        memorisation_low=None if distance is None else 0.5,
        memorisation_high=None if distance is None else 0.6,
        variety=distance,
        augmentation=augmentation,
        learning_rate=0.004,
        fault=fault,
    )


CURVE = [seen(100, 2.0), seen(200, 0.5), seen(300, None), seen(400, 0.1, round_index=1)]


def test_the_curves_drawn_are_those_recorded() -> None:
    quality, memorisation = training_curves(CURVE).axes
    x, y = (np.asarray(values) for values in quality.lines[0].get_data())
    assert list(zip(x.tolist(), y.tolist(), strict=True)) == [(100, 2.0), (200, 0.5), (400, 0.1)]
    assert np.asarray(memorisation.lines[0].get_ydata()).tolist() == [0.55] * 3


def xs(line: Line2D) -> list[float]:
    return np.asarray(line.get_xdata()).tolist()


def test_a_fault_and_the_start_of_a_response_are_marked() -> None:
    quality = training_curves(CURVE).axes[0]
    assert [xs(line) for line in quality.lines if line.get_marker() == "x"] == [[300]]
    assert [xs(line) for line in quality.lines if line.get_linestyle() == ":"] == [[300, 300]]


def test_augmentation_has_a_panel_where_there_was_any() -> None:
    assert len(training_curves([seen(100, 2.0), seen(200, 1.0, augmentation=0.2)]).axes) == 3
    assert len(training_curves(CURVE).axes) == 2


def test_an_unbiased_distance_below_zero_is_drawn_at_the_foot_of_the_axis() -> None:
    quality = training_curves([seen(100, 0.5), seen(200, -0.01)]).axes[0]
    assert np.asarray(quality.lines[0].get_ydata()).tolist() == [0.5, 0.05]


def test_the_legend_names_what_there_is_to_be_seen() -> None:
    assert keys(training_curves(CURVE)) == ["± 2 s.e., or 95%", "chance", "a response begins", "rolled back"]
    assert keys(training_curves(CURVE[:2])) == ["± 2 s.e., or 95%", "chance"]
