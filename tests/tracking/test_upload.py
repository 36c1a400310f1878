"""W&B under fire: whatever its server does, a race prints its verdict first and waits ten seconds at most."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arena.tracking import tracker as tracking
from arena.tracking.tracker import Labels, Tracker
from tests.building import environment, smallest
from tests.offline import offline_runs
from tests.tracking.misbehaving import Manner, server

pytestmark = pytest.mark.slow

LABELS = Labels("run", "smoke", "none", ["access=none"])
MUCH = 60.0
"""Seconds within which all is over on a machine with other work. The waits themselves are far shorter."""


def tracked(run: Path, rows: int = 4) -> Tracker:
    tracker = Tracker(mode="online", project="arena", entity=None, artifacts="none")
    tracker.start(run, settings={"seed": 0}, labels=LABELS)
    for row in range(rows):
        tracker.log({"loss": float(row)})
    return tracker


def children() -> str:
    """The processes that this one has started."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def ends(tracker: Tracker) -> float:
    """Close a tracker, and return how long that took."""
    start = time.monotonic()
    tracker.close()
    return time.monotonic() - start


@pytest.mark.parametrize("manner", ["hangs", "fails", "refuses"])
def test_a_race_waits_shortly_and_names_the_command_that_sends_the_rest(tmp_path, monkeypatch, caplog, manner: Manner):
    monkeypatch.setattr(tracking, "PATIENCE", 2.0)
    with server(manner) as state, caplog.at_level(logging.WARNING, logger="arena.tracking.tracker"):
        for name, value in state.variables.items():
            monkeypatch.setenv(name, value)
        assert 2.0 <= ends(tracked(tmp_path)) < MUCH
    (record,) = caplog.records
    assert f"`wandb sync {tmp_path / 'wandb'}` sends the rest" in record.getMessage()
    (written,) = offline_runs(tmp_path)
    assert [row["loss"] for row in written.history] == [0.0, 1.0, 2.0, 3.0]


def test_all_is_sent_where_the_server_answers(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tracking, "PATIENCE", MUCH)
    with server("answers") as state, caplog.at_level(logging.WARNING, logger="arena.tracking.tracker"):
        for name, value in state.variables.items():
            monkeypatch.setenv(name, value)
        tracked(tmp_path).close()
        assert [row["loss"] for row in state.rows] == [0.0, 1.0, 2.0, 3.0]
        assert state.finished
    assert caplog.records == []


def test_a_server_that_dies_and_comes_back_gets_all(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tracking, "PATIENCE", MUCH)
    with server("answers") as state, caplog.at_level(logging.WARNING, logger="arena.tracking.tracker"):
        for name, value in state.variables.items():
            monkeypatch.setenv(name, value)
        tracker = tracked(tmp_path)
        deadline = time.monotonic() + MUCH
        while not state.rows and time.monotonic() < deadline:
            time.sleep(0.1)
        state.manner = "fails"
        tracker.log({"loss": 4.0})
        time.sleep(1)
        state.manner = "answers"
        tracker.close()
        assert [row["loss"] for row in state.rows] == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert state.finished
    assert caplog.records == []


def test_nothing_of_the_upload_outlives_a_race(tmp_path):
    """However that ends."""
    program = (
        "import os, sys, signal, time; from pathlib import Path;"
        "from tests.tracking.test_upload import children, tracked;"
        "tracker = tracked(Path(sys.argv[1])); print(children(), flush=True); time.sleep(2);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    with server("hangs") as state:
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            env=environment(tmp_path) | state.variables,
            capture_output=True,
            text=True,
        )
        group, deadline = int(done.stdout.split()[-1]), time.monotonic() + MUCH
        while time.monotonic() < deadline:
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)
    pytest.fail("a process of the upload still runs")


def test_the_verdict_comes_first(tmp_path):
    """Before the wait for a server that hangs. The exit code is that of the race."""
    with server("hangs") as state:
        overrides = [*smallest("access=none", "race.rounds=0", "logger=online", "logger.artifacts=none"), "run_dir=run"]
        variables = environment(tmp_path) | state.variables
        with subprocess.Popen(
            [sys.executable, "-m", "arena", *overrides],
            cwd=tmp_path,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            lines = list(process.stdout)
            process.wait()
        assert process.returncode == 0, lines
    said = "".join(lines)
    assert "wandb sync run/wandb" in said, said
    assert said.index("Floor (dct)") < said.index("wandb sync run/wandb")
