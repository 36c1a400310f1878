import pytest
from rich.progress import Progress

from arena.bench import lightning
from arena.bench.cells import Cell
from arena.bench.job import Pace
from arena.bench.lightning import FEWEST, added_milliseconds, lightning_cost
from arena.bench.steps import Training


def test_a_step_under_lightning_is_compared_with_a_bare_one_pair_after_pair(monkeypatch):
    taken = []

    class Timed(Training):
        def __init__(self, cell, settings):
            self.variant = cell.variant

        def visit(self, seconds):
            return Pace(0.0, 0.0)

        def run(self, first, n):
            taken.append(self.variant)
            slow = 5.0 if len(taken) == 2 else 0.0  # another process, once
            return Pace(0.0107 + slow if self.variant == "lightning" else 0.01, 0.0)

    monkeypatch.setattr(lightning, "new_job", Timed)
    assert added_milliseconds("fp32", 0) == pytest.approx(0.7)
    assert taken == ["plain", "lightning"] * FEWEST


def test_only_where_lightning_is_among_the_cells(monkeypatch):
    monkeypatch.setattr(lightning, "added_milliseconds", lambda precision, seconds: seconds)
    cells = [Cell("training", "style", "fp32"), Cell("training", "style", "bf16", "lightning")]
    assert lightning_cost(cells, 2.0, Progress(disable=True)) == {"bf16": 2.0}
    assert lightning_cost(cells[:1], 2.0, Progress(disable=True)) == {}
