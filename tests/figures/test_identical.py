"""Equal records make equal files, whatever the process: nothing in a figure follows the order of a set or the clock."""

import os
import subprocess
import sys
from pathlib import Path

from arena.figures.training import training_records
from arena.records import PhaseRecord, RecordBook
from tests.figures.drawable import drawable_run
from tests.figures.test_mixing import write_grid
from tests.figures.test_training import CURVE

TABLE = """
from pathlib import Path
from arena.figures.sensitivity import sensitivity
from arena.figures.style import save
from arena.sensitivity.search import Limit
limits = {"blind": {"a": Limit(64, None, None)}, "dull": {"a": Limit(3, 4, 3.5)}, "sharp": {"a": Limit(0, 1, 1.0)}}
save(sensitivity(limits, {"sharp": "a"}, 64), Path("sensitivity"))
"""


def runs_with_everything(folder: Path) -> list[Path]:
    """Two runs of one condition with all that there is to draw."""
    runs = [
        drawable_run(folder / str(seed), rounds=1, techniques={"cnn": 0.8, "stack": 0.85}, seed=seed) for seed in (0, 1)
    ]
    for run in runs:
        write_grid(run, 1)
        book = RecordBook(run)
        closing = next(record for record in book.records if isinstance(record, PhaseRecord))
        book.append([*CURVE, closing])
        assert training_records(book.records)
    return runs


def test_two_processes_write_the_same_bytes(tmp_path):
    runs = [str(run) for run in runs_with_everything(tmp_path / "runs")]
    files = []
    for hashing in ("1", "2"):
        out = tmp_path / hashing
        out.mkdir()
        environment = os.environ | {"PYTHONHASHSEED": hashing, "PYTHONPATH": os.pathsep.join(sys.path)}
        for code in (["-m", "arena.figures", *runs, "--out", str(out)], ["-c", TABLE]):
            subprocess.run([sys.executable, *code], check=True, cwd=out, env=environment, stdout=subprocess.DEVNULL)
        files.append({str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    one, other = files
    drawn = {Path(name).stem for name in one}
    assert drawn >= {"timeline", "payoff", "training", "rounds", "mixing", "quality", "sensitivity", "comparison"}
    assert {Path(name).suffix for name in one} == {".png", ".pdf", ".csv", ".tex"}
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
