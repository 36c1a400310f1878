import csv

import pytest

from arena.studies.calibration import trial as module
from arena.studies.calibration.command import main
from tests.studies.calibration.outcomes import A_LINE


@pytest.fixture
def tried(monkeypatch):
    def once(arm, trial, *rest):
        line = A_LINE._replace(arm=arm.name, control=arm.control, artefact=arm.artefact or "", amplitude=arm.amplitude)
        answer = {"copycat": "invalid", "planted": "caught"}.get(arm.control, "undecided")
        return [line._replace(trial=trial, auc=0.5 + 0.01 * (trial % 5 - 2), answer=answer)]

    monkeypatch.setattr(module, "try_once", once)


def test_tables_and_figure_of_every_control(tried, tmp_path, capsys):
    assert main(["--out", str(tmp_path)]) == 0, capsys.readouterr().err
    names = {path.name for path in tmp_path.iterdir()}
    tables = {f"{name}.{kind}" for name in ("expected", "nulls", "power") for kind in ("csv", "tex")}
    assert names == {"outcomes.csv", "overrides.txt", "calibration.png", *tables}
    rows = list(csv.DictReader((tmp_path / "expected.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["holds"] for row in rows} == {"yes", ""}
    assert "hours" in capsys.readouterr().out


def test_a_mistake_is_one_line_and_2(tmp_path, capsys):
    assert main(["--out", str(tmp_path), "judge.foldz=2"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("error: ")
