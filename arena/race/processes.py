"""Run the phases of a race in this process, and phases or parts of them in a second one."""

import inspect
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from typing import Any, NamedTuple, Self, TypeVar

import torch

from arena.core.machine import peak_memory_mib
from arena.core.progress import Progress
from arena.race.race import PhaseOutput, Race
from arena.records.schema import PhaseRecord, Record
from arena.tracking.tracker import Tracker

T = TypeVar("T")
Phase = Callable[..., PhaseOutput]
"""A function that takes what it uses, by name, of ``race``, ``round_index``, ``player``, ``records``, ``progress`` and
``second``.

``records`` are those of the phases before. A phase reads them and the files of the run, and no other state. It does the
same whether the phases before ran in this process or in one that was killed. ``second`` is the second process, or None.
"""


class Step(NamedTuple):
    """A phase, its round and its player."""

    phase: Phase
    round_index: int
    player: str


class ClosedPhase(NamedTuple):
    """The records of a phase, and the record that closes it."""

    records: list[Record]
    closing: PhaseRecord


NO_TRACKER = Tracker(mode="none", project="", entity=None, artifacts="none")


def reads_records(phase: Phase) -> bool:
    """Return whether a phase takes the records of the phases before it.

    Before the last round ``judge`` ignores them, so it may run in the second process, which has none.
    """
    return "records" in inspect.signature(phase).parameters


def run_phase(
    race: Race,
    step: Step,
    records: Sequence[Record] = (),
    progress: Progress | None = None,
    second: "SecondProcess | None" = None,
) -> ClosedPhase:
    """Run one phase, and return its records. It may leave some of its work to the second process."""
    phase, round_index, player = step
    machine = race.machine
    if machine.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    arguments = {
        "race": race,
        "round_index": round_index,
        "player": player,
        "records": records,
        "progress": progress or Progress(),
        "second": second,
    }
    output = phase(**{key: arguments[key] for key in inspect.signature(phase).parameters})
    closing = PhaseRecord(
        round=round_index,
        seed=race.seed,
        phase=phase.__name__,
        player=player,
        images=output.images,
        seconds=time.perf_counter() - start,
        peak_memory_mib=peak_memory_mib(machine.device.type == "cuda"),
        device=str(machine.device),
        precision=machine.precision,
        **asdict(output.spent),
    )
    return ClosedPhase(output.records, closing)


class SecondProcess:
    """A process that does work of a race in the order in which it is submitted.

    Both processes share the threads of this one. Work on several items at once uses all of them here (``at_once``),
    since the second process is idle for much of the time. The second one ends with this one, however that ends. It gets
    the race by pickle through a pipe that no other program can write to.
    """

    def __init__(self, race: Race) -> None:
        threads = torch.get_num_threads()
        self._threads = threads
        torch.set_num_threads(threads - threads // 2)
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from arena.race.processes import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._submitted: queue.Queue[Future[Any]] = queue.Queue()
        self._send((replace(race, tracker=NO_TRACKER), threads // 2))
        threading.Thread(target=self._receive, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        torch.set_num_threads(self._threads)

    def submit(self, work: Callable[[Race], T]) -> Future[T]:
        """Let the process do some work after that submitted before, such as ``partial(run_phase, step=step)``."""
        future: Future[T] = Future()
        self._submitted.put(future)
        self._send(work)
        return future

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(pickle.dumps(message))
        self._process.stdin.flush()

    def _receive(self) -> None:
        assert self._process.stdout is not None
        while True:
            future = self._submitted.get()
            try:
                result = pickle.load(self._process.stdout)
            except (EOFError, pickle.UnpicklingError):
                result = RuntimeError(f"the second process of the race ended with code {self._process.wait()}")
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)


def serve() -> None:
    """Do the work that the first process sends through standard input, and answer through standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    answers, tasks = os.fdopen(os.dup(1), "wb"), sys.stdin.buffer
    os.dup2(2, 1)  # a phase that prints does not mix with the answers
    race, threads = pickle.load(tasks)
    torch.set_num_threads(threads)
    received: queue.Queue[Callable[[Race], object]] = queue.Queue()
    threading.Thread(target=_listen, args=(tasks, received), daemon=True).start()
    while True:
        try:
            result: object = received.get()(race)
        except Exception as error:  # it is raised in the first process
            result = error
        answers.write(pickle.dumps(result))
        answers.flush()


def _listen(tasks: object, received: "queue.Queue[Callable[[Race], object]]") -> None:
    """Queue the tasks. The end of the pipe is the end of the first process, and ends this one at once."""
    try:
        while True:
            received.put(pickle.load(tasks))  # type: ignore[arg-type]
    except EOFError:
        os._exit(1)
