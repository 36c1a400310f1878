"""Equal records give equal files in every process: no figure depends on the order of a set or on the clock."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from arena.figures.training import training_records
from arena.records.schema import PhaseRecord
from arena.records.store import RecordBook
from tests.figures.drawable import drawable_run
from tests.figures.test_mixing import write_grid
from tests.figures.test_training import CURVE

EVERYTHING = """
import sys
from pathlib import Path
from arena.figures.axes import save
from arena.figures.draw import draw_runs
from arena.studies.sensitivity.figure import sensitivity
from arena.studies.sensitivity.search import DetectionLimit
runs, out = [Path(run) for run in sys.argv[2:]], Path(sys.argv[1])
list(draw_runs(runs, out))
limits = {"blind": (64, None, None), "dull": (3, 4, 3.5), "sharp": (0, 1, 1.0)}
limits = {name: {"a": DetectionLimit(*limit)} for name, limit in limits.items()}
save(sensitivity(limits, {"sharp": "a"}, 64), out / "sensitivity")
"""


def runs_with_everything(folder: Path) -> list[Path]:
    """Two runs of one condition, the first with everything that can be drawn."""
    runs = [
        drawable_run(folder / str(seed), rounds=1, techniques={"cnn": 0.8, "stack": 0.85}, seed=seed) for seed in (0, 1)
    ]
    write_grid(runs[0], 1)
    book = RecordBook(runs[0])
    closing = next(record for record in book.records if isinstance(record, PhaseRecord))
    book.append([*CURVE, closing])
    assert training_records(book.records)
    return runs


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(tmp_path):
    runs = [str(run) for run in runs_with_everything(tmp_path / "runs")]
    files = []
    for hashing in ("1", "2"):
        out = tmp_path / hashing
        environment = os.environ | {"PYTHONHASHSEED": hashing, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", EVERYTHING, str(out), *runs], check=True, env=environment)
        files.append({str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    one, other = files
    drawn = {Path(name).stem for name in one}
    assert drawn >= {"timeline", "payoff", "training", "rounds", "mixing", "quality", "sensitivity", "comparison"}
    assert {Path(name).suffix for name in one} == {".png", ".pdf", ".csv", ".tex"}
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
