import numpy as np
import pytest

from arena.answer.game.game import solve
from arena.figures.tables import game_table, to_csv, to_latex
from tests.answer.game.games import hand_made


@pytest.fixture(scope="module")
def games():
    race = np.array([[0.9, 0.95, 0.9], [0.2, 0.85, 0.9], [0.1, 0.3, 0.8]])
    return {name: solve(hand_made(values, technique=name)) for name, values in {"cnn": race, "dct": [[0.7]]}.items()}


def test_one_row_a_technique_with_the_figures_of_its_game(games):
    header, cnn, dct = game_table(games)
    row = dict(zip(header, cnn, strict=True))
    its = games["cnn"]
    assert (row["technique"], row["rounds"]) == ("cnn", "3")
    assert row["value"] == "0.8000"
    assert row["exploitability"] == "0.0000"
    assert row["interaction"] == f"{its.transitivity.interaction.value:.4f}"
    assert float(row["transitive"]) + float(row["interaction"]) == pytest.approx(1.0, abs=1e-4)
    assert row["reversals"] == f"{its.reversals.found}/9"
    assert row["circles"] == "0/1"
    assert row["forgetting"] == "-0.0250"  # mean of 0.90 - 0.90 and 0.85 - 0.90
    assert row["generator_memory"] == "0.2000"
    assert float(row["generator_memory_low"]) < 0.2 < float(row["generator_memory_high"])
    empty = {name for name, cell in zip(header, dct, strict=True) if not cell}
    assert {"transitive", "interaction", "reversals", "circles", "forgetting", "generator_memory"} <= empty
    assert dict(zip(header, dct, strict=True))["exploitability"] == "0.0000"


def test_as_text(games):
    table = game_table(games)
    assert to_csv(table).splitlines()[0].startswith("technique,rounds,value,value_low,value_high,exploitability,")
    assert to_latex(table).count(r"\\") == 3
    assert game_table({}) == table[:1]
