import json
import subprocess
import sys

import pytest

from arena.bench.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seconds", "soon"], "argument --seconds: invalid float value: 'soon'"),
        (["--seconds", "0"], "--seconds=0.0: expected above 0"),
        (["--resolution", "33"], "--resolution=33: expected a power of two from 8 to 256"),
        (["--json", "nowhere/bench.json"], "--json=nowhere/bench.json: expected a file in a folder"),
        (["--only", "stlye", "--resolution", "8"], "--only=stlye: expected one of"),
        (["--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_what_cannot_be_measured_is_one_line_and_2(arguments, said, capsys):
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("python -m arena.bench: ")
    assert said in captured.err


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["--batch", "1"], 2)])
def test_help_and_mistakes_need_no_torch(arguments, code):
    command = "import runpy, sys; sys.argv = ['arena.bench', *sys.argv[1:]]\n"
    command += "try: runpy.run_module('arena.bench', run_name='__main__')\n"
    command += "finally: print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr.splitlines()[-1] == "False"
    assert ("--only NAME" in done.stdout) == (code == 0)


def test_a_table_on_stdout_and_json_in_a_file(tmp_path, capsys, monkeypatch):
    """As a user would call it, each cell's memory in a process of its own."""
    monkeypatch.setenv("GOMP_SPINCOUNT", "500")  # as it would be set, but put back
    path = tmp_path / "bench.json"
    size = ["--seconds", "0.01", "--resolution", "8", "--batch", "4", "--width", "8", "--only", "portraits"]
    assert main([*size, "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "rendering portraits fp32" in " ".join(printed.split())
    assert "threads on" in printed
    (row,) = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert row["peak_memory_mib"] > row["idle_memory_mib"] - 1 > 50
    assert len(row["seconds_per_image"]) > 1
