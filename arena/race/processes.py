"""Run the phases of a race in this process, and phases or parts of them in a second one."""

import inspect
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, replace
from typing import Any, NamedTuple, Self, TypeVar

import torch

from arena.core.files import sha256_of
from arena.core.interruption import signals_left_to_parent
from arena.core.machine import on_threads, peak_memory_mib
from arena.core.progress import Progress
from arena.race.race import PhaseOutput, Race
from arena.records.schema import PhaseKey, PhaseRecord, Record
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

    @property
    def key(self) -> PhaseKey:
        """Its name, round and player, as records have them."""
        return PhaseKey(self.phase.__name__, self.round_index, self.player)


class ClosedPhase(NamedTuple):
    """The records of a phase, and the record that closes it."""

    records: list[Record]
    closing: PhaseRecord


def has_second(race: Race) -> bool:
    """Return whether a race has a second process. A GPU, or a processor with one thread, is not shared.

    A race without a response has none, since nothing would run beside. All its judges train in this process.
    """
    return race.machine.device.type == "cpu" and torch.get_num_threads() > 1 and race.rounds > 0


def threads_of_phases(race: Race) -> AbstractContextManager[None]:
    """Return the context of all phases: half of torch's threads where the race has a second process.

    They have no more while that process does not run. The order of operations, and with it the last digits of a result,
    would otherwise depend on which phases are left.
    """
    return on_threads(max(1, torch.get_num_threads() // 2)) if has_second(race) else nullcontext()


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
        files={path.relative_to(race.run).as_posix(): sha256_of(path) for path in output.files},
        **asdict(output.spent),
    )
    return ClosedPhase(output.records, closing)


class SecondProcess:
    """A process that does work of a race in the order in which it is submitted.

    It has as many threads as this one, half of torch's in ``threads_of_phases``. Work on several items at once uses all
    threads here (``at_once``), since the second process is idle for much of the time. While both judge, each uses its
    half. The second process ends with this one, however that ends. It gets the race by pickle through a pipe that no
    other program can write to.
    """

    def __init__(self, race: Race) -> None:
        with signals_left_to_parent():
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from arena.race.processes import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._submitted: queue.Queue[Future[Any]] = queue.Queue()
        self._send(pickle.dumps((replace(race, tracker=NO_TRACKER), torch.get_num_threads())))
        threading.Thread(target=self._receive, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def submit(self, work: Callable[[Race], T]) -> Future[T]:
        """Let the process do some work after that submitted before, such as ``partial(run_phase, step=step)``."""
        message, future = pickle.dumps(work), Future[T]()
        self._submitted.put(future)
        with suppress(BrokenPipeError):  # the process has ended, which the future says
            self._send(message)
        return future

    def _send(self, message: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(message)
        self._process.stdin.flush()

    def _receive(self) -> None:
        assert self._process.stdout is not None
        while True:
            future = self._submitted.get()
            try:
                result = pickle.load(self._process.stdout)
            except EOFError:
                result = RuntimeError(f"the second process of the race ended with code {self._process.wait()}")
            except Exception as error:  # whatever an answer raises that cannot be read
                result = error
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)


def serve() -> None:
    """Do the work that the first process sends through standard input, and answer through standard output."""
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
    """Queue the tasks. The end of the pipe, whole or in a task, is the end of the first process, and ends this one."""
    try:
        while True:
            received.put(pickle.load(tasks))  # type: ignore[arg-type]
    finally:
        os._exit(1)
