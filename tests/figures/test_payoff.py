import numpy as np
import pytest
from matplotlib.patches import Rectangle

from arena.figures.payoff import payoff_map
from arena.figures.series import read_series
from arena.game.payoff import payoff
from arena.records import ScoreRecord, read_records
from tests.figures.drawable import drawable_run


def test_cells_hold_the_payoff_matrix_and_its_numbers(run):
    records = read_records(run)
    figure = payoff_map(records, read_series(run, records))
    for axes, technique in zip(figure.axes, ("cnn", "forest", "stack"), strict=False):
        matrix = payoff(records, technique)
        np.testing.assert_array_equal(axes.images[0].get_array(), matrix)
        assert axes.get_title(loc="left").startswith(technique)
        assert [text.get_text() for text in axes.texts] == [f"{value:.2f}" for value in matrix.ravel()]


def test_the_diagonal_is_framed(run):
    records = read_records(run)
    axes = payoff_map(records, read_series(run, records)).axes[0]
    framed = [patch.get_xy() for patch in axes.patches if isinstance(patch, Rectangle)]
    assert framed == [(k - 0.5, k - 0.5) for k in range(3)]


def test_chance_is_the_colour_without_colour(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=0)
    records = read_records(run)
    image = payoff_map(records, read_series(run, records)).axes[0].images[0]
    red, green, blue, _ = image.to_rgba(np.array([[0.5]]))[0, 0]
    assert max(red, green, blue) - min(red, green, blue) < 0.02
    assert min(red, green, blue) > 0.9


@pytest.mark.parametrize("rounds", [1, 8])
def test_a_cell_nobody_scored_is_left_empty(tmp_path, rounds):
    run = drawable_run(tmp_path / "run", rounds=rounds, techniques={"cnn": 0.6})
    records = [
        record
        for record in read_records(run)
        if not (isinstance(record, ScoreRecord) and record.generator_round > record.detector_round)
    ]
    axes = payoff_map(records, read_series(run, records)).axes[0]
    numbers = 3 if rounds == 1 else 0  # nine rounds leave no room for numbers
    assert len(axes.texts) == numbers
    assert np.isnan(np.ma.filled(np.ma.asarray(axes.images[0].get_array()), np.nan)).sum() == rounds * (rounds + 1) / 2
