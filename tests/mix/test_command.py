import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from arena.mix.command import main


@pytest.fixture
def photographs(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / "Ada.png", tmp_path / "Bo.jpg"]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    return [str(path) for path in paths]


@pytest.mark.parametrize("space", ["w", "w+"])
def test_two_photographs_are_projected_and_mixed(finished, photographs, tmp_path, capsys, space):
    out = tmp_path / "out"
    # Options may stand anywhere.
    said = ["--round", "1", *photographs, "--out", str(out), "--steps", "4", "--space", space]
    assert main([str(finished.run), *said]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    written = {path.name for path in out.iterdir()}
    assert written == {"Ada_Bo.png", "Ada_Bo.pdf", "Ada_Bo.json"}
    assert all(name in printed for name in written)
    facts = json.loads((out / "Ada_Bo.json").read_text())
    assert (facts["round"], facts["space"], facts["steps"]) == (1, space, 4)
    assert [its["file"] for its in facts["photographs"]] == ["Ada.png", "Bo.jpg"]
    for its in facts["photographs"]:
        assert 0 < its["w_plus"] <= 1.001 * its["w"]
    with Image.open(out / "Ada_Bo.png") as picture:
        assert picture.width > 6 * 8


def test_equal_commands_make_equal_files(finished, photographs, tmp_path):
    for name in ("a", "b"):
        assert main([str(finished.run), *photographs, "--out", str(tmp_path / name), "--steps", "3"]) == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{run}", "{a}", "nowhere.png"], "nowhere.png: expected an image (no such file)"),
        (["{run}", "{a}", "{run}/config.yaml"], "config.yaml: expected an image (no image)"),
        (["{run}", "{a}"], "photographs: expected two, found 1"),
        (["{run}", "{a}", "{b}", "{a}"], "photographs: expected two, found 3"),
        (["nowhere", "{a}", "{b}"], "nowhere: expected the directory of a run"),
        (["{run}", "{a}", "{b}", "--round", "9"], "--round=9: expected a round of"),
        (["{run}", "{a}", "{b}", "--steps", "0"], "--steps=0: expected at least 1"),
        (["{run}", "--attributes"], "data=Digits: expected Portraits"),
        (["{run}", "{a}", "--attributes"], "--attributes: expected no photographs"),
        (["{run}", "--attributes", "--pairs", "1"], "--pairs=1: expected at least 2"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_2(finished, photographs, capsys, arguments, said):
    a, b = photographs
    assert main([argument.format(run=finished.run, a=a, b=b) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert not (finished.run / "mixing").exists()


def test_help_needs_no_torch():
    command = "import runpy, sys; sys.argv = ['arena.mix', '--help']\n"
    command += "try: runpy.run_module('arena.mix', run_name='__main__')\n"
    command += "finally: print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--attributes" in done.stdout
    assert done.stderr.splitlines()[-1] == "False"
