"""Phases beside the generator, in a second process, do what they do in one."""

import dataclasses
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from arena.core.errors import ArenaError
from arena.core.machine import at_once, on_threads
from arena.core.progress import Progress
from arena.race.judging import judge_case
from arena.race.loop import carry_out, runs_beside
from arena.race.phases.calibrate import calibrate
from arena.race.phases.detectors import confront, retrain
from arena.race.phases.fakes import forge
from arena.race.phases.judges import case_of, judge
from arena.race.processes import ClosedPhase, SecondProcess, Step, reads_records, run_phase, threads_of_phases
from arena.race.race import PhaseOutput, Race
from arena.records.schema import PhaseRecord, Record, Scores
from arena.records.store import read_records
from arena.training.meter import Meter
from tests.building import tiny_arena

pytestmark = pytest.mark.slow


def tell(race: Race, round_index: int, player: str) -> PhaseOutput:
    """Phase whose record tells the process and the threads that ran it."""
    if player == "bad":
        raise ArenaError("data.path=nowhere: expected a folder")
    if player == "killed":
        os._exit(3)
    return PhaseOutput([], os.getpid())


def told(player: str) -> Callable[[Race], ClosedPhase]:
    return partial(run_phase, step=Step(tell, 0, player))


def without_costs(records: Sequence[Record]) -> list[Record]:
    return [
        dataclasses.replace(record, seconds=0.0, peak_memory_mib=0.0, sha256="")
        if isinstance(record, PhaseRecord)
        else record
        for record in records
    ]


def test_two_processes_write_the_records_of_one_in_the_same_order(run: Path):
    written = {}
    for threads in (1, 2):
        race = tiny_arena(run.parent / str(threads) / "run", "race.rounds=2", "battery=tiny")
        with on_threads(threads):
            beside = runs_beside(race, Step(judge, 0, "128 images"))
            carry_out(race, Console(quiet=True))
        assert beside == (threads == 2)
        written[threads] = without_costs(read_records(race.run))
    assert written[1] == written[2]


def test_only_phases_that_no_generator_depends_on_run_beside_it(run: Path):
    race = tiny_arena(run, "race.rounds=2")
    with on_threads(2):
        assert runs_beside(race, Step(calibrate, 0, "oracle"))
        assert runs_beside(race, Step(confront, 1, "battery"))
        assert runs_beside(race, Step(judge, 1, "128 images"))
        assert not runs_beside(race, Step(confront, 2, "battery"))  # the last round has nothing to run beside
        assert not runs_beside(race, Step(judge, 2, "128 images"))
        assert not runs_beside(race, Step(retrain, 1, "battery"))
        assert not runs_beside(race, Step(forge, 0, "generator"))


def test_phases_run_in_the_second_process_in_order_and_its_errors_come_back(run: Path):
    race = tiny_arena(run)
    with on_threads(2), SecondProcess(race) as second:
        first, bad, last = (second.submit(told(player)) for player in ("a", "bad", "c"))
        pid = first.result().closing.images
        assert pid == last.result().closing.images != os.getpid()
        with pytest.raises(ArenaError, match=r"data\.path=nowhere"):
            bad.result()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)  # it has ended with the block


def test_a_second_process_that_dies_is_an_error(run: Path):
    with on_threads(2), SecondProcess(tiny_arena(run)) as second:
        died, never = second.submit(told("killed")), second.submit(told("a"))
        for future in (died, never):
            with pytest.raises(RuntimeError, match="ended with code 3"):
                future.result()


def test_a_phase_gets_the_arguments_that_it_names(run: Path):
    race = tiny_arena(run)
    assert reads_records(judge)
    assert not reads_records(tell)
    outcome = run_phase(race, Step(tell, 2, "a"), [], Progress())
    assert (outcome.records, outcome.closing.images) == ([], os.getpid())
    assert (outcome.closing.phase, outcome.closing.round, outcome.closing.player) == ("tell", 2, "a")


def test_judges_of_which_the_second_process_trains_half_are_those_of_one_process(finished: Race):
    """Judges stop early, so that those of one process stop before those of the other."""
    race = dataclasses.replace(finished, battery=dataclasses.replace(finished.battery, patience=1))
    case, found = case_of(finished, 2, 1, range(3)), []

    def judged(second: SecondProcess | None) -> None:
        meter, progress = Meter(), Progress()
        seeds, members = range(3), list(race.members)
        judgements, images = judge_case(
            race, case, members, 1, seeds, images=640, meter=meter, progress=progress, second=second
        )
        found.append((judgements, images, meter.spent))

    with on_threads(1):
        judged(None)
    with on_threads(2), at_once(2), threads_of_phases(race), SecondProcess(race) as second:
        judged(second)
        died = second.submit(told("killed"))
        with pytest.raises(RuntimeError, match="ended with code 3"):
            died.result()
        with pytest.raises(RuntimeError, match="ended with code 3"):
            judged(second)  # half of the judges are trained there
    (alone, *counts), (together, *others) = found
    assert counts == others
    assert counts[0] < 9 * 640
    assert len(alone) == len(together) == 3
    for one, two in zip(alone, together, strict=True):
        assert list(one) == list(two)
        for technique in one:
            for field in Scores._fields:
                np.testing.assert_array_equal(
                    getattr(one[technique].test, field), getattr(two[technique].test, field), err_msg=technique
                )
            assert one[technique].validation_auc == two[technique].validation_auc


def test_work_that_cannot_be_sent_is_an_error_and_changes_no_answer(run: Path):
    with on_threads(2), SecondProcess(tiny_arena(run)) as second:
        with pytest.raises((AttributeError, pickle.PicklingError)):
            second.submit(lambda race: None)
        assert second.submit(told("a")).result().closing.player == "a"


def test_a_second_process_ends_when_its_first_one_dies_in_the_middle_of_a_message():
    """The first message is a race with its threads, which nothing looks at here."""
    cut = pickle.dumps((None, 1)) + pickle.dumps("work")[:-2]
    script = "from arena.race.processes import serve; serve()"
    ended = subprocess.run([sys.executable, "-c", script], input=cut, capture_output=True, timeout=120, check=False)
    assert ended.returncode == 1
