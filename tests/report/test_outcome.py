"""Verdict, figures and report of a finished race are made again where they are not as its records have them."""

import json

import pytest

from arena.answer.answer import read_answer
from arena.report.outcome import OUTCOME, outdated, write_outcome
from tests.building import arena, smallest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def race(tmp_path_factory):
    """A finished race with its figures and its report, and the command that ran it."""
    folder = tmp_path_factory.mktemp("outcome")
    command = [*smallest("access=none", "race.rounds=0"), "run_dir=run"]
    done = arena(*command, cwd=folder, program="import sys; from arena.cli.main import main; sys.exit(main())")
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "run", command


def made(run):
    names = [OUTCOME, "verdict.json", "report.html", *(f"figures/{path.name}" for path in (run / "figures").iterdir())]
    return {name: (run / name).read_bytes() for name in names}


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("report.html", lambda path: path.unlink()),
        (
            "verdict.json",
            lambda path: path.write_text(path.read_text().replace("caught", "passes")),
        ),
        ("figures/timeline.png", lambda path: path.write_bytes(path.read_bytes()[:100])),
        (OUTCOME, lambda path: path.unlink()),
        (OUTCOME, lambda path: path.write_text("[" * 5_000)),
        (OUTCOME, lambda path: path.write_text(json.dumps({"records": "0", "files": {}}))),
    ],
    ids=["deleted-report", "edited-verdict", "cut-figure", "killed-before-the-end", "nested", "other-records"],
)
def test_it_is_made_again_to_the_byte(race, name, damage):
    run, command = race
    before = made(run)
    damage(run / name)
    assert outdated(run) == [name]
    done = arena(*command, cwd=run.parent, program="import sys; from arena.cli.main import main; sys.exit(main())")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"made again from the records: {name}" in done.stdout
    assert made(run) == before


def test_what_is_up_to_date_is_left_alone(race):
    run, command = race
    times = {name: (run / name).stat().st_mtime_ns for name in made(run)}
    done = arena(*command, cwd=run.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert "already holds this race" in done.stdout
    assert {name: (run / name).stat().st_mtime_ns for name in times} == times
    assert outdated(run) == []


def test_further_records_make_it_out_of_date(race):
    """As after ``arena cross``, which appends tests of other runs' judges."""
    run, _ = race
    records = run / "records.jsonl"
    before = records.read_bytes()
    records.write_bytes(before + b"\n")
    assert outdated(run) == [OUTCOME]
    records.write_bytes(before)
    write_outcome(read_answer(run))
    assert outdated(run) == []
