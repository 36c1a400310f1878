"""Sweeps: checked before the first race, named by their overrides, and finished where one race fails."""

import json
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.cli.main import main
from arena.cli.sweep import LONGEST, member_name
from arena.config.compose import quoted
from tests.building import FAILING, arena, smallest

pytestmark = pytest.mark.slow


def races(folder: Path, file: str = "verdict.json") -> list[str]:
    return sorted(path.parent.name for path in folder.glob(f"*/{file}"))


def test_races_are_folders_named_by_their_overrides_in_any_order(tmp_path, capsys):
    first = ["-m", *smallest("race.rounds=1"), "seed=0,1", "access=none,white_box", "run_dir=a study"]
    done = arena(*first, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = races(tmp_path / "a study")
    assert [name.split("+")[0] for name in names] == 2 * ["access-none"] + 2 * ["access-white_box"]
    assert [name.count("seed-1") for name in names] == [0, 1, 0, 1]
    assert {path.name for path in tmp_path.iterdir()} == {"a study", "cache"}
    assert len(list((tmp_path / "cache" / "warm_up").glob("*/done"))) == 2  # one a seed, whatever the access

    reordered = ["-m", *smallest("race.rounds=1"), "access=white_box,none", "seed=1,0", "run_dir='a study'"]
    again = arena(*reordered, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("already holds this race") == 4
    assert races(tmp_path / "a study") == names

    assert main(["answer", str(tmp_path / "a study"), "--json"]) == 0
    answers = {each["condition"]: each for each in json.loads(capsys.readouterr().out)}
    assert [len(answers[name]["runs"]) for name in ("access=white_box", "access=none")] == [2, 2]
    assert [set(answers[name]["contrasts"]) for name in ("access=white_box", "access=none")] == [{"none"}, set()]


def test_a_bad_member_is_named_before_the_first_race(tmp_path):
    sweep = ["-m", *smallest("access=none", "race.rounds=0"), "judge.folds=2,1", "run_dir=study"]
    done = arena(*sweep, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "judge.folds=1: expected at least 2" in line
    assert "No race was run" in line
    assert not (tmp_path / "study").exists()


def test_a_folder_with_another_race_is_named_before_the_first_race(tmp_path):
    sweep = ["-m", *smallest("access=none", "race.rounds=0"), "seed=0,1", "run_dir=study"]
    assert arena(*sweep, cwd=tmp_path).returncode == 0
    config = next((tmp_path / "study").glob("*seed-1*/config.yaml"))
    config.write_text(config.read_text().replace("rounds: 0", "rounds: 3"))
    done = arena(*sweep, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "expected this race or none, found another, with race.rounds=3" in done.stderr


def test_a_race_that_fails_is_named_at_the_end_and_the_others_finish(tmp_path):
    sweep = ["-m", *smallest("access=none", "race.rounds=0"), "seed=0,1,2,3", "run_dir=study"]
    failed = arena(*sweep, cwd=tmp_path, program=FAILING)
    assert failed.returncode == 1
    assert ["seed-0" in name or "seed-3" in name for name in races(tmp_path / "study")] == [True, True]
    *_, refused, bug, count = failed.stderr.splitlines()
    assert refused.startswith("arena: failed: access-none")
    assert refused.endswith("/full/disk: No space left on device")
    assert bug.endswith(": ValueError, a bug")
    assert "Traceback" in failed.stderr
    assert count == "arena: 2 of 4 races failed; the same command with run_dir=study runs them again"

    again = arena(*sweep, cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert len(races(tmp_path / "study")) == 4
    assert races(tmp_path / "study", "failed.txt") == []


def test_the_same_race_twice_is_refused(tmp_path):
    done = arena("-m", *smallest("seed=1,1"), cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "expected each race of a sweep once" in done.stderr


def parsed(override: str) -> object:
    """The value of an override, by Hydra's grammar."""
    return OverridesParser.create().parse_override(override).value()


KEYS = st.sampled_from(["seed", "data.path", "+battery.x", "~battery.members.cnn", "access", "judge.multiples"])
OVERRIDES = st.dictionaries(KEYS, st.text(st.characters(blacklist_categories=["Cs"]), min_size=1), min_size=1)


@given(OVERRIDES, OVERRIDES)
@settings(deadline=None)
def test_names_differ_as_overrides_do_and_are_plain(ours, theirs):
    listed = [[f"{key}={value}" for key, value in each.items()] for each in (ours, theirs)]
    names = [member_name(each) for each in listed]
    assert (names[0] == names[1]) == (ours == theirs)
    assert names[0] == member_name(listed[0][::-1])
    for name in names:
        assert len(name) <= LONGEST + 9
        assert not set(name) & set("=,'\"/\\ \n\x1b:;|&()[]{}<>*?!#$`^")
        assert parsed(f"run_dir=study/{name}") == f"study/{name}"


@settings(deadline=None)
@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\n\r$"), min_size=1))
def test_any_place_can_be_an_override(text):
    assert parsed(f"run_dir={quoted(text)}") == text
