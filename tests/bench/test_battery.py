import io

import pytest
from rich.console import Console

from arena.bench.__main__ import main
from arena.bench.battery import BatteryCosts, TechniqueCost, battery_costs
from arena.bench.table import battery_notes, battery_table
from tests.building import tiny_arena

COSTS = BatteryCosts(
    {"cnn": TechniqueCost(1200, 2.0, 100.0), "dct": TechniqueCost(65, 1.0, 400.0)},
    TechniqueCost(1265, 2.4, 90.0),
    {"decay": "needs 16 pixels"},
)


def test_what_one_pass_saves_is_beside_the_sum_of_separate_ones():
    assert COSTS.training_saved == pytest.approx(1 - 2.4 / 3.0)
    assert COSTS.scoring_saved == pytest.approx(1 - (1 / 90) / (1 / 100 + 1 / 400))


def test_a_row_a_technique_and_one_for_all_together():
    console = Console(width=100, color_system=None, file=io.StringIO(), record=True)
    console.print(battery_table(COSTS))
    said = console.export_text()
    assert [word in said for word in ("cnn", "dct", "1,200", "1,265", "2.4")] == [True] * 5
    notes = " ".join(battery_notes(COSTS))
    assert "20%" in notes
    assert "decay needs 16 pixels" in notes


def test_every_technique_that_applies_is_timed(run):
    race = tiny_arena(run, "access=none", "race.rounds=0", "+detector@battery.members.decay=decay", generator="oracle")
    found = battery_costs(race)
    assert set(found.alone) == {"cnn", "dct", "spectrum", "forest"}
    assert set(found.left_out) == {"decay"}
    for cost in (*found.alone.values(), found.together):
        assert cost.train_seconds > 0
        assert cost.scored > 0
    assert found.alone["cnn"].parameters > found.alone["dct"].parameters > found.alone["forest"].parameters == 0
    assert found.together.parameters == sum(cost.parameters for cost in found.alone.values())


def test_a_mistake_in_its_overrides_is_one_line_and_2(capsys):
    assert main(["--battery", "battery=huge"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
