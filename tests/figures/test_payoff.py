import dataclasses

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from PIL import Image

from arena.answer.payoff import payoff
from arena.answer.series import Series, read_series
from arena.figures.payoff import payoff_map
from arena.records.schema import ScoreRecord
from arena.records.store import read_records
from tests.figures.drawable import keys


def corners(axes):
    (triangles,) = [artist for artist in axes.collections if isinstance(artist, PolyCollection)]
    return {tuple(np.rint(np.asarray(path.vertices)[0]).astype(int)[::-1].tolist()) for path in triangles.get_paths()}


@pytest.fixture(scope="module")
def records(run):
    return read_records(run)


@pytest.fixture(scope="module")
def figure(run, records):
    return payoff_map(records, read_series(run, records))


def test_cells_hold_the_payoff_matrix_and_its_numbers(records, figure):
    for axes, technique in zip(figure.axes, ("cnn", "forest", "stack"), strict=False):
        matrix = payoff(records, technique)
        np.testing.assert_array_equal(axes.images[0].get_array(), matrix)
        assert axes.get_title(loc="left").startswith(technique)
        numbers = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts}
        assert numbers == {cell: f"{matrix[cell]:.2f}" for cell in np.ndindex(matrix.shape)}


def test_the_diagonal_is_framed_in_ink_over_white(figure):
    framed = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert [patch.get_xy() for patch in framed] == [(k - 0.5, k - 0.5) for k in range(3)] * 2
    assert framed[0].get_edgecolor() == to_rgba("white")
    assert framed[0].get_linewidth() > framed[-1].get_linewidth()


def test_lightness_rises_with_the_auc_in_colour_in_grey_and_to_a_deuteranope(figure):
    image = figure.axes[0].images[0]
    colours = image.to_rgba(np.linspace(0.0, 1.0, 101)[None])[0, :, :3]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    # Machado, Oliveira & Fernandes (2009), full deuteranomaly.
    deuteranope = np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    )
    luminance = np.array([0.2126, 0.7152, 0.0722])
    for seen in (linear @ luminance, np.clip(linear @ deuteranope.T, 0, 1) @ luminance):
        assert (np.diff(seen) > 0).all()
        assert seen[-1] - seen[0] > 0.6
    greys = np.asarray(Image.fromarray((colours[None] * 255).astype(np.uint8)).convert("L")).astype(int)[0]
    assert (np.diff(greys) >= 0).all()


def test_a_corner_marks_the_wrong_sign_and_only_beyond_error(run, records):
    changed = [
        dataclasses.replace(r, auc=0.45, auc_low=0.4, auc_high=0.4999 if r.detector_round else 0.5001)
        if isinstance(r, ScoreRecord) and (r.technique, r.regime) == ("cnn", "frozen")
        else r
        for r in records
    ]
    cnn, forest, *_ = payoff_map(changed, read_series(run, changed)).axes
    assert corners(cnn) == {(2, 1)}
    assert corners(forest) == {
        (r.generator_round, r.detector_round)
        for r in changed
        if isinstance(r, ScoreRecord) and r.technique == "forest" and r.regime != "fresh" and r.auc_high < 0.5
    }


def many(records, count, size):
    """One cell again and again, as a battery of that many techniques over that many rounds."""
    cell = next(r for r in records if isinstance(r, ScoreRecord) and r.regime == "retrained")
    names = [f"cooccurrence{k}" for k in range(count)]
    cells = [
        dataclasses.replace(cell, technique=name, generator_round=g, detector_round=d)
        for name in names
        for g, d in np.ndindex(size, size)
    ]
    return cells, [Series(name, "none", (0,), {}, {}) for name in names]


@pytest.mark.parametrize(("size", "numbers"), [(2, 3), (9, 0)])
def test_a_cell_without_a_score_is_left_empty(records, size, numbers):
    """Nine rounds leave no room for numbers."""
    cells, series = many(records, 1, size)
    figure = payoff_map([cell for cell in cells if cell.generator_round <= cell.detector_round], series)
    axes = figure.axes[0]
    assert len(axes.texts) == numbers
    assert np.isnan(np.ma.filled(np.ma.asarray(axes.images[0].get_array()), np.nan)).sum() == size * (size - 1) / 2
    assert axes.images[0].to_rgba(np.array([[np.nan]]))[0, 0, 3] == 0.0  # the hatch behind shows through
    assert axes.patch.get_hatch()
    assert keys(figure)[-1] == "not scored"


@pytest.mark.parametrize(("count", "size"), [(1, 2), (4, 20), (12, 2), (25, 2)])
def test_fits_a_page(records, count, size):
    width, height = payoff_map(*many(records, count, size)).get_size_inches()
    assert width < 8.3  # A4
    assert height < 11.7


def test_no_title_of_two_abreast_reaches_its_neighbour(records):
    figure = payoff_map(*many(records, 5, 3), narrow=True)
    figure.draw_without_rendering()
    first, second = (axes.get_tightbbox() for axes in figure.axes[:2])
    assert first is not None
    assert second is not None
    assert first.x1 < second.x0


def test_without_a_technique_there_is_an_empty_figure():
    assert payoff_map([], []).get_size_inches()[0] > 0
