import pytest
from rich.console import Console

from arena.core.errors import ArenaError
from arena.studies.calibration import trial as module
from arena.studies.calibration.outcome import read
from arena.studies.calibration.plan import Arm
from arena.studies.calibration.trial import study
from tests.studies.calibration.outcomes import A_LINE

ARMS = (Arm("digits", ("data=digits",), 4), Arm("digits", ("data=digits",), 2, "planted", "stripes", 2))
QUIET = Console(quiet=True)


def tried(arm, trial, *rest):
    """As if two techniques had been judged."""
    line = A_LINE._replace(control=arm.control, artefact=arm.artefact or "", amplitude=arm.amplitude, trial=trial)
    return [line, line._replace(technique="forest")]


def test_an_interrupted_study_goes_on_and_finds_the_same(tmp_path, monkeypatch):
    asked = []

    def interrupted(*question):
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(question[:2])
        return tried(*question)

    monkeypatch.setattr(module, "try_once", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study(ARMS, [], tmp_path, QUIET)
    assert len(list(read(tmp_path / "outcomes.csv"))) == 6
    again = []
    monkeypatch.setattr(module, "try_once", lambda *question: again.append(question[:2]) or tried(*question))
    found = study(ARMS, [], tmp_path, QUIET)
    assert len(asked) + len(again) == len({*asked, *again}) == 6
    assert [*read(tmp_path / "outcomes.csv")] == found
    assert {(line.artefact, line.trial) for line in found} == {
        *(("", k) for k in range(4)),
        *(("stripes", k) for k in range(2)),
    }


def test_it_goes_on_with_the_same_overrides_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "try_once", tried)
    study(ARMS, ["judge.folds=2"], tmp_path, QUIET)
    with pytest.raises(ArenaError, match=r"overrides.txt: expected the overrides of this study, found .*judge.folds=2"):
        study(ARMS, ["judge.folds=3"], tmp_path, QUIET)
