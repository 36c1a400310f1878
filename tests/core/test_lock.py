import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arena.core.errors import ArenaError
from arena.core.lock import DEAD_AFTER, OWNER, locked

HOLD = """
import sys
import time
from pathlib import Path
from arena.core.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""
"""A program: hold a run directory until a line comes."""


def holder(run: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def of_another_host(run: Path, age: float) -> None:
    (run / OWNER).write_text(json.dumps({"host": "node7", "process": 4711}))
    (run / "now").touch()
    now = (run / "now").stat().st_mtime
    os.utime(run / OWNER, (now - age, now - age))


def test_a_second_process_is_refused_with_host_and_number_of_the_first(tmp_path):
    process = holder(tmp_path)
    try:
        found = re.escape(f"found process {process.pid} on {socket.gethostname()}")
        message = rf"^run_dir=.*: expected a run that no other process works on, {found}$"
        with pytest.raises(ArenaError, match=message), locked(tmp_path):
            pytest.fail("both hold it")
    finally:
        process.communicate(b"\n")
    with locked(tmp_path):
        assert json.loads((tmp_path / OWNER).read_text())["process"] == os.getpid()
    assert not (tmp_path / OWNER).exists()


def test_a_killed_process_does_not_keep_a_run(tmp_path):
    process = holder(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / OWNER).exists()
    with locked(tmp_path):
        pass


def test_another_host_counts_while_it_renews_its_file(tmp_path):
    of_another_host(tmp_path, age=DEAD_AFTER / 2)
    message = r"found process 4711 on node7 \(if it has ended, try again in 60 s\)$"
    with pytest.raises(ArenaError, match=message), locked(tmp_path):
        pytest.fail("both hold it")
    assert (tmp_path / OWNER).exists()
    of_another_host(tmp_path, age=DEAD_AFTER + 1)
    with locked(tmp_path):
        pass


def test_a_holder_renews_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr("arena.core.lock.HEARTBEAT", 0.05)
    with locked(tmp_path):
        os.utime(tmp_path / OWNER, (0, 0))
        for _ in range(600):
            if (tmp_path / OWNER).stat().st_mtime > 0:
                break
            time.sleep(0.05)
        else:
            pytest.fail("never renewed")


def test_an_owner_that_cannot_be_read_still_refuses(tmp_path):
    process = holder(tmp_path)
    (tmp_path / OWNER).write_text("{")
    try:
        with pytest.raises(ArenaError, match=r"found another process$"), locked(tmp_path):
            pytest.fail("both hold it")
    finally:
        process.communicate(b"\n")


def test_an_error_inside_gives_the_run_back(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass
