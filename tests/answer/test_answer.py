import json
import subprocess
import sys

import pytest

from tests.building import command
from tests.synthetic import synthetic_run

main = command("answer")

SMALL = {"techniques": {"cnn": 0.6, "dct": 0.7}, "rounds": 0, "n_real": 60, "n_fake": 60}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for access in ("white_box", "none", "other_reals"):
        for seed in (0, 1):
            synthetic_run(root / "sweep" / access / str(seed), access=access, seed=seed, data_seed=seed, **SMALL)
    synthetic_run(root / "sweep" / "killed", seed=7, finished=False, **SMALL)
    return root


@pytest.mark.slow
def test_json_is_all_there_is_on_stdout(folder):
    """The command imports no torch."""
    command = "import sys; from arena.cli.main import main; sys.argv[0] = 'arena'\n"
    command += "try: main()\n"
    command += "finally: print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", command, "answer", str(folder), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [each["condition"] for each in found] == ["access=white_box", "access=none", "access=other_reals"]
    assert [len(each["runs"]) for each in found] == [2, 2, 2]
    assert set(found[0]["contrasts"]) == {"none", "other_reals"}
    assert set(found[0]["verdict"]["control"]) == {"none", "other_reals"}
    assert found[1]["verdict"]["control"] is None
    assert "killed: not finished" in done.stderr
    assert done.stderr.splitlines()[-1] == "False"


def test_plain_tables(folder, capsys):
    assert main([str(folder / "sweep")]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert printed.count("technique") >= 5
    assert "access=white_box: 2 runs (seed 0, 1)" in printed
    assert "AUC less that of access=other_reals" in printed
    assert "strongest" in printed


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere", "expected the directory of a run"),
        ("empty", "no finished run found"),
        ("sweep/killed", "not finished (round 0 of 0)"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_2(folder, capsys, place, said):
    (folder / "empty").mkdir(exist_ok=True)
    assert main([str(folder / place)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1
