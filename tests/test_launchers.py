"""Sweeps whose races run side by side, in processes of joblib."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from arena.cli.main import main
from tests.building import arena, environment, smallest
from tests.race.test_resume import differing


@pytest.mark.parametrize("launcher", ["local", "cluster"])
def test_a_launcher_is_refused_without_a_sweep_and_without_its_package(monkeypatch, capsys, launcher):
    assert main([f"launcher={launcher}"]) == 2
    assert capsys.readouterr().err == (
        f"arena: launcher={launcher}: expected the flag -m, since a launcher runs the races of a sweep\n"
    )
    monkeypatch.setattr("arena.cli.launchers.find_spec", lambda package: None)
    assert main(["-m", f"launcher={launcher}"]) == 2
    assert capsys.readouterr().err == (
        f"arena: launcher={launcher}: expected its package (pip install 'arena-race[{launcher}]')\n"
    )


@pytest.mark.slow
def test_races_side_by_side_are_those_one_after_the_other_and_share_the_cores(tmp_path):
    sweep = ["-m", *smallest("access=none", "race.rounds=1"), "seed=0,1"]
    alone = arena(*sweep, "run_dir=alone", cwd=tmp_path)
    several = environment(tmp_path)
    del several["OMP_NUM_THREADS"]
    beside = subprocess.run(
        [sys.executable, "-m", "arena", *sweep, "launcher=local", "hydra.launcher.n_jobs=2", "run_dir=beside"],
        cwd=tmp_path,
        env=several,
        capture_output=True,
        text=True,
    )
    assert (alone.returncode, beside.returncode) == (0, 0), beside.stderr
    runs = sorted((tmp_path / "alone").glob("*/verdict.json"))
    assert len(runs) == 2
    for path in runs:
        other = tmp_path / "beside" / path.parent.name
        threads = yaml.safe_load((other / "config.yaml").read_text())["environment"]["threads"]
        assert threads == max(1, len(os.sched_getaffinity(0)) // 2)
        if threads == 1:  # the last digits depend on it
            assert differing(path.parent, other) == []
        assert json.loads((other / "verdict.json").read_text())["sentence"]


@pytest.mark.slow
def test_races_side_by_side_end_with_the_command(tmp_path):
    endless = smallest("access=none", "schedule.warm_up_images=1000000", "schedule.evaluate_images=100000")
    sweep = ["-m", *endless, "launcher=local", "hydra.launcher.n_jobs=2", "seed=0,1", "run_dir=sweep"]
    with subprocess.Popen(
        [sys.executable, "-m", "arena", *sweep],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 300
        while len(list((tmp_path / "sweep").glob("*/.owner"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGTERM)
        _, error = process.communicate()
    assert process.returncode == 143
    assert error == "arena: interrupted; the same command with run_dir=sweep continues\n"
    deadline = time.monotonic() + 60
    while True:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() < deadline, "a race goes on"
        time.sleep(0.1)
