import io

import pytest
from rich.console import Console

from arena.core.errors import ArenaError
from arena.studies.sensitivity import study as module
from arena.studies.sensitivity.study import COLUMNS, Measurement, artefacts, read, study, write
from tests.building import tiny_arena

SMALL = ("access=none", "race.rounds=0", "battery.stack=null", "~battery.members.cnn", "~battery.members.forest")


@pytest.fixture
def arena(run):
    return tiny_arena(run, *SMALL, generator="oracle")


def judged(race, kind, amplitude, techniques):
    """As if every technique's limit were six grey levels."""
    aucs = {name: round(0.5 + 0.5 / (1 + (6 / amplitude) ** 2), 4) for name in techniques}
    return [Measurement(kind, amplitude, name, auc, auc - 0.01, auc + 0.01) for name, auc in aucs.items()]


def test_an_interrupted_study_goes_on_and_finds_the_same(race, tmp_path, monkeypatch):
    asked = []

    def judge(*question):
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(question[1:])
        return judged(*question)

    monkeypatch.setattr(module, "_judge", judge)
    path, quiet = tmp_path / "measurements.csv", Console(quiet=True)
    with pytest.raises(KeyboardInterrupt):
        study(race, path, quiet)
    kept = path.read_bytes()
    assert len(list(read(path))) == sum(len(techniques) for *_, techniques in asked)
    again = []
    monkeypatch.setattr(module, "_judge", lambda *question: again.append(question[1:]) or judged(*question))
    found = study(race, path, quiet)
    assert path.read_bytes().startswith(kept)
    assert not {(kind, amplitude) for kind, amplitude, _ in asked} & {(kind, amplitude) for kind, amplitude, _ in again}
    once = study(race, tmp_path / "whole.csv", quiet)
    assert {kind: search.found for kind, search in found.items()} == {kind: its.found for kind, its in once.items()}


def test_fresh_judges_catch_what_is_plain_and_are_at_chance_where_nothing_is(race):
    plain, none = (module._judge(race, "checkerboard", amplitude, ["dct"]) for amplitude in (4, 0))
    assert plain[0].low > 0.85
    assert none[0].low < 0.5 < none[0].high


def test_every_kind_that_can_be_planted_is_searched_for(race):
    assert {"checkerboard", "stripes", "quantisation"} <= set(artefacts(race))


def test_measurements_are_read_as_they_were_written(tmp_path):
    lines = [Measurement("stripes", 4, "dct", 0.7512, 0.7, 0.8), Measurement("stripes", 8, "cnn", 1.0, 1.0, 1.0)]
    write(tmp_path / "m.csv", lines)
    assert list(read(tmp_path / "m.csv")) == lines


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", ",".join(COLUMNS) + "\nstars,4,dct,0.7,0.6,0.8\n"])
def test_a_file_that_is_no_study_is_refused(race, tmp_path, content):
    path = tmp_path / "m.csv"
    path.write_text(content)
    with pytest.raises(ArenaError, match=r"m.csv: expected"):
        study(race, path, Console(file=io.StringIO()))


def test_a_line_that_is_torn_is_refused(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(",".join(COLUMNS) + "\nstripes,4,dct,0.7\n")
    with pytest.raises(ArenaError, match=r"m.csv: line 2: expected"):
        list(read(path))
