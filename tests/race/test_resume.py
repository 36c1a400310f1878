"""A race that is killed and started again writes the same files as an uninterrupted one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from arena.core.interruption import Interrupted, interruptible
from arena.core.progress import Progress
from arena.race.loop import algorithm, carry_out, run_phases
from arena.race.race import Race
from arena.records.schema import PhaseRecord
from arena.records.store import RecordBook, read_records
from arena.training.battery import BatteryTraining
from arena.training.gan import GanTraining
from tests.building import FINISHED, TINY, tiny_arena

T = TypeVar("T")
TIMES = {"seconds", "peak_memory_mib", "sha256"}


class Killed(BaseException):
    """A kill. Nothing in the project catches it."""


def contents(run: Path) -> dict[str, object]:
    """Return all that must not depend on kills: scores, fakes, weights, and records without times and memory."""
    lines = (run / "records.jsonl").read_text().splitlines()
    content: dict[str, object] = {
        f"record {n}": {key: value for key, value in json.loads(line).items() if key not in TIMES}
        for n, line in enumerate(lines)
    }
    for path in sorted([*run.rglob("*.npz"), *run.rglob("*.safetensors"), *run.rglob("*.pt")]):
        name = path.relative_to(run).as_posix()
        if path.suffix == ".safetensors":
            content |= {f"{name}:{key}": value.numpy().tobytes() for key, value in load_file(path).items()}
        elif path.suffix == ".pt":
            content[name] = repr(torch.load(path, weights_only=True))
        else:
            content[name] = path.read_bytes()
    return content


def differing(run: Path, other: Path) -> list[str]:
    """Return the names of differing contents of two runs."""
    one, two = contents(run), contents(other)
    return sorted(key for key in one.keys() | two.keys() if one.get(key) != two.get(key))


@pytest.fixture
def _no_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.race.loop.seconds_of_race", lambda race, beside: 0.0)


@pytest.mark.slow
@pytest.mark.usefixtures("_no_forecast")
def test_killed_after_every_phase(finished: Race, run: Path, monkeypatch: pytest.MonkeyPatch):
    """One race, killed after each of its phases in turn, against the uninterrupted one."""
    carried_out: list[str] = []
    appended = RecordBook.append

    def then_killed(self: RecordBook, records: list, later: list) -> None:
        appended(self, records, later)
        carried_out.append(records[-1].phase)
        raise Killed

    monkeypatch.setattr(RecordBook, "append", then_killed)
    steps = list(algorithm(finished))
    for _ in steps:
        with pytest.raises(Killed):
            carry_out(tiny_arena(run, *FINISHED), Console(quiet=True))
    carry_out(tiny_arena(run, *FINISHED), Console(quiet=True))  # nothing is left to do
    assert carried_out == [phase.__name__ for phase, _, _ in steps]
    assert differing(run, finished.run) == []


@pytest.mark.slow
@pytest.mark.usefixtures("_no_forecast")
def test_killed_within_a_phase(finished: Race, run: Path, monkeypatch: pytest.MonkeyPatch):
    """Files of an unfinished phase and a torn line change nothing."""
    appended = RecordBook.append

    def torn(self: RecordBook, records: list, later: list) -> None:
        if isinstance(records[-1], PhaseRecord) and records[-1].phase in ("judge", "retrain") and not torn_once:
            torn_once.append(True)
            with self.path.open("a") as file:
                file.write('{"kind": "score", "round": 0}\n{"kind": "pha')
            raise Killed
        appended(self, records, later)

    torn_once: list[bool] = []
    monkeypatch.setattr(RecordBook, "append", torn)
    with pytest.raises(Killed):
        carry_out(tiny_arena(run, *FINISHED), Console(quiet=True))
    carry_out(tiny_arena(run, *FINISHED), Console(quiet=True))
    assert differing(run, finished.run) == []


@pytest.mark.slow
@pytest.mark.usefixtures("_no_forecast")
def test_interrupted_in_every_training(finished: Race, run: Path, monkeypatch: pytest.MonkeyPatch):
    """A race that a signal stops again and again, within each of its trainings of the GAN and of detectors."""
    assert interrupted(lambda: carry_out(tiny_arena(run, *FINISHED), Console(quiet=True)), monkeypatch) >= 6
    assert differing(run, finished.run) == []


@pytest.mark.slow
@pytest.mark.parametrize("selection", ["none", "branches"])
def test_interrupted_while_detectors_learn_live(run: Path, monkeypatch: pytest.MonkeyPatch, selection: str):
    """Detectors that learn beside the generator, with and without branches, go on from the step of the signal."""
    overrides = ["access=everything", "objective=relative", "pool=live", f"selection={selection}"]
    overrides += ["race.rounds=1", "schedule.evaluate_images=64", "schedule.response_images=512"]

    def respond(folder: Path) -> None:
        race = tiny_arena(folder, *overrides)
        steps = [step for step in algorithm(race) if step.phase.__name__ not in ("calibrate", "judge")]
        responded = [step.phase.__name__ for step in steps].index("respond") + 1
        run_phases(race, RecordBook(race.run), steps[:responded], Progress())

    whole = run.with_name("whole")
    respond(whole)
    assert interrupted(lambda: respond(run), monkeypatch) >= 4
    assert differing(run, whole) == []


def interrupted(carry_on: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> int:
    """Carry on until all is done, and return how often a signal stopped it.

    One comes in every seventh step of the GAN, and in some steps of detectors, whose trainings begin again.
    """
    interruptions = 0
    for training, stops in ((GanTraining, range(7, 10_000, 7)), (BatteryTraining, (1, 4, 20, 60))):

        def then_stopped(train: Callable[[Any, int], T], stops: Container[int] = stops) -> Callable[[Any, int], T]:
            done = count(1)

            def step(self: object, number: int) -> T:
                if next(done) in stops:
                    os.kill(os.getpid(), signal.SIGTERM)
                return train(self, number)

            return step

        monkeypatch.setattr(training, "training_step", then_stopped(training.training_step))
    while True:
        try:
            with interruptible():
                carry_on()
            return interruptions
        except Interrupted:
            interruptions += 1


WARM_UP = """
import sys
from pathlib import Path
from arena.core.progress import Progress
from arena.race.build import race_from
from arena.race.loop import run_phases
from arena.race.phases.generator import warm_up
from arena.race.processes import Step
from arena.records.store import RecordBook
race = race_from(sys.argv[2:], Path(sys.argv[1]))
run_phases(race, RecordBook(race.run), [Step(warm_up, 0, "generator")], Progress())
"""
"""A program: the warm-up of a race, in the run directory that is its first argument."""


@pytest.mark.slow
def test_sigkill_in_the_middle_of_training(tmp_path: Path):
    """A killed warm-up continues from its snapshot to the same weights."""
    shape = [*TINY, "generator.width=8", "schedule.warm_up_images=1280", "schedule.evaluate_images=160"]
    results = []
    for name, kill in (("killed", True), ("whole", False)):
        run, cache = tmp_path / name, tmp_path / f"cache_{name}"
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        arguments = [sys.executable, "-c", WARM_UP, str(run), *shape, "access=none", f"cache_dir={cache}"]
        if kill:
            with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL) as process:
                _wait_for(lambda cache=cache: _looks(cache) >= 2, process)
                process.send_signal(signal.SIGKILL)
            assert not (run / "records.jsonl").exists()
        subprocess.run(arguments, env=environment, check=True, stdout=subprocess.DEVNULL)
        results.append(contents(run))
        spent = [record for record in read_records(run) if isinstance(record, PhaseRecord)]
        assert spent[0].phase == "warm_up"
    assert results[0] == results[1]


def _looks(cache: Path) -> int:
    """Return the number of finished intervals of a warm-up."""
    try:
        return sum(len(path.read_text().splitlines()) for path in cache.glob("warm_up/*.partial/curve.jsonl"))
    except FileNotFoundError:  # replaced between the search and the reading
        return 0


def _wait_for(condition, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the race ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
