import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from arena.answer.answer import read_answer
from arena.figures.draw import draw_all
from tests.building import command
from tests.figures.drawable import drawable_run

main = command("figures")

FIGURES = {
    f"{name}.{kind}" for name in ("timeline", "payoff", "rounds", "quality", "limit", "bags") for kind in ("png", "pdf")
}
COMPARED = {
    "limit.png",
    "limit.pdf",
    "quality.png",
    "quality.pdf",
    "comparison.csv",
    "comparison.tex",
    "conditions.csv",
    "conditions.tex",
}
TABLES = {f"{name}.{kind}" for name in ("scores", "game", "quality", "verdict") for kind in ("csv", "tex")}


@pytest.mark.slow
def test_equal_records_make_equal_files(run, tmp_path):
    answer = read_answer(run)
    first = draw_all(run, tmp_path / "a", answer)
    with matplotlib.rc_context({"font.size": 20.0}):  # the caller's own settings change nothing
        second = draw_all(run, tmp_path / "b", answer)
    assert {path.name for path in first} == FIGURES | TABLES
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


@pytest.mark.slow
def test_what_a_run_does_not_have_is_not_drawn(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=0)
    for path in [*(run / "banks").iterdir(), run / "verdict.json"]:
        path.unlink()
    written = {path.name for path in draw_all(run, tmp_path / "out")}
    left_out = ("rounds", "verdict", "quality.p", "limit", "bags")
    assert written == {name for name in FIGURES | TABLES if not name.startswith(left_out)}


@pytest.mark.slow
def test_several_runs_get_a_folder_each(tmp_path, capsys):
    runs = [drawable_run(tmp_path / "sweep" / str(k), rounds=0, techniques={"cnn": 0.5}, seed=k) for k in (0, 1)]
    assert main([*map(str, runs), "--out", str(tmp_path / "out")]) == 0
    written = [path.relative_to(tmp_path / "out") for path in map(Path, capsys.readouterr().out.split())]
    assert {path.parent.name for path in written} == {"0", "1", ""}
    compared = {str(path) for path in written if not path.parent.name}
    assert compared == {f"{name}" for name in COMPARED}


@pytest.mark.slow
def test_a_run_under_way_is_drawn_but_not_compared(tmp_path, capsys):
    runs = [drawable_run(tmp_path / "sweep" / str(k), rounds=0, techniques={"cnn": 0.5}, seed=k) for k in (0, 1)]
    (runs[0] / "verdict.json").unlink()
    assert main([*map(str, runs), "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert "0/timeline.png" in out
    assert err == f"not compared, because it is not finished: {runs[0]}\n"


def test_a_run_counts_once(tmp_path, capsys):
    runs = [drawable_run(tmp_path / "sweep" / name, rounds=0, techniques={"cnn": 0.5}) for name in ("a", "b")]
    assert main([*map(str, runs), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "config, seed and data.seed are equal" in err


@pytest.mark.parametrize("content", [None, "no record\n" + '{"kind": "phase"}\n'])
def test_a_path_that_is_no_run_is_one_line_and_exit_code_2(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "records.jsonl").write_text(content)
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert str(tmp_path) in printed


def test_figures_and_report_import_no_torch_and_no_pyplot():
    code = "import sys, arena.figures.draw, arena.report.console, arena.report.page;"
    code += "sys.exit(bool({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
