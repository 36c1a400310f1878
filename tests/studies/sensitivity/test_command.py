import csv

import pytest

from arena.studies.sensitivity import study as module
from arena.studies.sensitivity.command import main
from arena.studies.sensitivity.study import Measurement

FEW = ["data=digits", "~data.n", "battery=small", "battery.stack=null", "bank.test=64", "bank.cell=16"]


@pytest.fixture
def judged(monkeypatch):
    monkeypatch.setattr(
        module,
        "_judge",
        lambda race, kind, amplitude, techniques: [
            Measurement(kind, amplitude, name, 0.9 if name == "dct" else 0.5, 0.4, 0.95) for name in techniques
        ],
    )


def test_table_and_figure_of_every_technique_and_artefact(judged, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    assert main(["--out", str(tmp_path / "out"), *FEW]) == 0, capsys.readouterr().err
    rows = list(csv.reader((tmp_path / "out" / "sensitivity.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0][0] == "technique"
    assert {row[0] for row in rows[1:]} == {"cnn", "dct", "spectrum", "forest"}
    cells = {row[0]: set(row[1:]) for row in rows[1:]}
    assert cells["dct"] == {"≤ 1"}
    assert cells["cnn"] == {"> 4"}  # a quarter of seventeen grey levels
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"config.yaml", "measurements.csv", "sensitivity.csv", "sensitivity.tex", "sensitivity.png"}
    assert "hours" in capsys.readouterr().out


def test_a_mistake_is_one_line_and_2(tmp_path, capsys):
    assert main(["--out", str(tmp_path), "data=faces"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("error: ")


def test_it_goes_on_with_the_same_settings_alone(judged, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    out = ["--out", str(tmp_path / "out"), *FEW]
    assert main(out) == main(out) == 0
    capsys.readouterr()
    assert main([*out, "judge.folds=3"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "found another, with judge.folds=2" in said


def test_a_generator_that_would_have_to_be_trained_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    assert main(["--out", str(tmp_path / "out"), *FEW, "generator=style"]) == 2
    assert capsys.readouterr().err.startswith("error: generator: expected oracle")
