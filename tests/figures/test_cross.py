import numpy as np
from matplotlib.patches import Rectangle

from arena.answer.cross import CrossMatrix
from arena.answer.estimate import Estimate
from arena.figures.cross import cross, cross_table
from arena.metrics.interval import Interval
from tests.figures.drawable import words


def matrix(technique: str, *rows: tuple[float, ...]) -> CrossMatrix:
    cells = tuple(tuple(Interval(auc, auc - 0.01, auc + 0.01) for auc in row) for row in rows)
    mean = Estimate(0.9, of_images=1e-4, of_repeats=0.0, df=100.0, images=100, repeats=2, runs=2)
    return CrossMatrix(technique, tuple(range(10, 10 + len(rows))), cells, mean, mean, mean)


MATRICES = {"cnn": matrix("cnn", (0.95, 0.81), (0.72, 0.999)), "dct": matrix("dct", (0.5, 0.4), (0.6, 0.55))}


def test_cells_hold_judges_down_and_fakes_across():
    panels = cross(MATRICES).axes
    assert [axes.get_title(loc="left") for axes in panels[:2]] == ["cnn", "dct"]
    assert words(panels[0]) == ["0.950", "0.810", "0.720", "0.999"]
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["10", "11"]
    assert panels[0].get_ylabel() == "judges of seed"
    assert "fakes of seed" in panels[1].get_xlabel()
    assert "others 0.900 [0.880, 0.920]" in panels[1].get_xlabel()
    (image,) = panels[0].images
    shades = image.to_rgba(np.array([0.81, 0.95]))
    assert not np.array_equal(shades[0], shades[1])


def test_frames_are_on_the_diagonal():
    (axes, *_) = cross({"cnn": MATRICES["cnn"]}).axes
    frames = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert {(frame.get_x(), frame.get_y()) for frame in frames} == {(-0.5, -0.5), (0.5, 0.5)}


def test_table_has_every_cell_and_the_two_means():
    head, *rows = cross_table(MATRICES)
    assert head[:4] == ["technique", "judges", "fakes", "auc"]
    assert rows[1] == ["cnn", "10", "11", "0.8100", "0.8000", "0.8200"]
    assert [row[:4] for row in rows[4:6]] == [["cnn", "all", "own", "0.9000"], ["cnn", "all", "others", "0.9000"]]
    assert len(rows) == 12
