"""``arena declare``: the hash that the race will have, before there is a race."""

import hashlib
import json

import pytest
import yaml

from arena.race.build import race_from
from tests.building import TINY, command

main = command("declare")
FEW = [*(each for each in TINY if each != "logger=none"), "battery.members.forest.trees=2"]


def printed(capsys, *overrides: str) -> dict[str, str]:
    assert main([*FEW, *overrides]) == 0
    return dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())


def test_the_hash_is_that_of_the_printed_terms_and_of_the_race(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    lines = printed(capsys, "answer.margin=0.07", "run_dir=runs/one", "logger=offline")
    assert list(lines) == ["declared", "commit", "terms"]
    assert hashlib.sha256(lines["terms"].encode()).hexdigest() == lines["declared"]
    terms = json.loads(lines["terms"])
    assert terms["answer"]["margin"] == 0.07
    assert "forest" in terms["techniques"]
    assert not (tmp_path / "runs").exists()
    race_from([*FEW, "answer.margin=0.07"], tmp_path / "run")
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["declared"] == lines["declared"]


@pytest.mark.parametrize(
    "override", ["seed=1", "data.seed=1", "access=none", "schedule.response_images=64", "bank.test=64"]
)
def test_another_race_has_another_hash(capsys, override):
    assert printed(capsys, override)["declared"] != printed(capsys)["declared"]


def test_place_and_logger_leave_the_hash_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert printed(capsys, "run_dir=elsewhere", "logger=offline")["declared"] == printed(capsys)["declared"]


@pytest.mark.parametrize(("override", "said"), [("answer.margin=2", "answer.margin"), ("battery=none_such", "battery")])
def test_an_impossible_race_is_one_line(capsys, override, said):
    assert main([*FEW, override]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert said in line
