from multiprocessing import Pipe

from rich.progress import Progress

from arena.bench import measure
from arena.bench.cells import Cell
from arena.bench.job import Job, Pace
from arena.bench.measure import Trial, _first_visit
from arena.bench.settings import Settings

SMALL = Settings(seconds=0.01, resolution=8, batch=4, width=8)


def first_visit(cell):
    """What the new process would send."""
    ours, its = Pipe(duplex=False)
    _first_visit(its, cell, SMALL)
    return ours.recv()


def test_a_first_visit_tells_memory_and_parameters():
    trial = first_visit(Cell("training", "gan2014"))
    assert trial.failed is None
    assert 50 < trial.idle_memory_mib <= trial.peak_memory_mib
    assert min(trial.parameters) > 0


def test_what_cannot_be_done_is_told_by_one_word_its_first_cause(monkeypatch):
    def fails(cell, settings):
        try:
            raise OverflowError("too much\nof it")
        except OverflowError as error:
            raise RuntimeError("elsewhere") from error

    monkeypatch.setattr(measure, "new_job", fails)
    assert first_visit(Cell("training", "style")) == Trial(failed="OverflowError", reason="too much of it")


def test_cells_take_turns_and_those_that_failed_are_left_out(monkeypatch):
    order = []

    class Noted(Job):
        def __init__(self, name):
            self.name = name

        def visit(self, seconds):
            order.append(self.name)
            return Pace(1.0, 1.0)

    rows = [Cell("training", name) for name in ("a", "b", "c")]
    monkeypatch.setattr(measure, "try_alone", lambda cell, _: Trial(failed="slow" if cell.name == "b" else None))
    monkeypatch.setattr(measure, "new_job", lambda cell, _: Noted(cell.name))
    monkeypatch.setattr(measure, "VISITS", 3)
    found = measure.measure(rows, SMALL, Progress(disable=True))
    assert "".join(order) == "ac" + "ac" + "ca" + "ac"  # warmed up, then forth and back
    assert [len(figures.paces) for figures in found] == [3, 0, 3]
