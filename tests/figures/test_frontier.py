import math

import pytest

from arena.answer.frontier import FrontierPoint
from arena.figures.frontier import frontier_map, frontier_table
from arena.figures.marks import mark_of
from tests.figures.drawable import curves, keys


def run(*distances: float, images: float = 1000.0) -> list[FrontierPoint]:
    return [
        FrontierPoint(k, images * (k + 1), distance, {"cnn": 0.9 - 0.1 * k, "dct": 0.6})
        for k, distance in enumerate(distances)
    ]


PATHS = {"access=white_box": [run(0.08, 0.02), run(0.02, 0.08)], "access=none": [run(0.04, 0.03)]}


def test_paths_join_the_means_over_runs():
    figure = frontier_map(PATHS, ["cnn", "dct"], 0.05)
    assert keys(figure) == ["access=white_box", "access=none", "chance, 1/2 ± 0.05"]
    over_distance, _, over_images, _ = figure.axes
    faint, path, *_ = curves(over_distance, mark_of(0))
    assert sorted(faint[0]) == [0.02, 0.02, 0.08, 0.08]
    assert path[0] == pytest.approx([0.04, 0.04])  # the geometric mean
    assert path[1] == pytest.approx([0.9, 0.8])
    path, *_ = curves(over_images, mark_of(1))
    assert path[0] == pytest.approx([1000, 2000])
    assert over_distance.get_xscale() == "log"


def test_runs_without_recorded_images_have_one_row():
    figure = frontier_map({"a": [run(0.04, 0.03, images=math.nan)]}, ["cnn", "dct", "gone"], 0.05)
    assert len(figure.axes) == 3
    assert not curves(figure.axes[2], mark_of(0))[0][0].size


def test_a_distance_below_zero_is_not_drawn():
    path, *_ = curves(frontier_map({"a": [run(0.04, -0.01)]}, ["cnn"], 0.05).axes[0], mark_of(0))
    assert path[0] == pytest.approx([0.04])


def test_table_has_a_row_a_round_and_technique():
    head, *rows = frontier_table(PATHS)
    assert head == ["condition", "run", "round", "images", "kernel_distance", "technique", "auc"]
    assert len(rows) == 12
    assert rows[2] == ["access=white_box", "0", "1", "2000", "0.0200", "cnn", "0.8000"]
