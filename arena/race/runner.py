"""A phase: one resumable step of the race, which ends by appending all it found to the records, or has not happened."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import torch

from arena.core.machine import peak_memory_mib
from arena.core.progress import Progress
from arena.race.race import Race
from arena.records.schema import PhaseRecord, Record
from arena.records.store import RecordBook


class PhaseOutput(NamedTuple):
    """What a phase found: its records, and how many images it trained on or scored."""

    records: list[Record]
    images: int


Phase = Callable[[Race, RecordBook, Progress, int, str], PhaseOutput]
"""``phase(arena, book, progress, round, player)``. A phase reads what earlier phases wrote, and nothing else: what it
does is the same whether they ran in this process or before a kill."""


class PhaseRunner:
    """Carries out phases in order, skipping those the records call done.

    Args:
        arena: the race.
        progress: tells the user.
    """

    def __init__(self, race: Race, progress: Progress) -> None:
        self.arena, self.progress = race, progress
        self.book = RecordBook(race.run)

    def __call__(self, phase: Phase, round_index: int = 0, player: str = "generator") -> None:
        """Carry out one phase, unless it is done."""
        name = phase.__name__
        if (closed := self.book.closed(name, round_index, player)) is not None:
            self.progress.skip(name, player, closed.seconds)
            return
        race, machine = self.arena, self.arena.machine
        if machine.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        with self.progress.phase(name, round_index, player):
            finding = phase(race, self.book, self.progress, round_index, player)
        record = PhaseRecord(
            round=round_index,
            seed=race.seed,
            phase=name,
            player=player,
            images=finding.images,
            seconds=time.perf_counter() - start,
            peak_memory_mib=peak_memory_mib(machine.device.type == "cuda"),
            device=str(machine.device),
            precision=machine.precision,
        )
        self.book.append([*finding.records, record])
        race.tracker.records(self.book.records)

    @staticmethod
    def done_in(run: Path, steps: Iterable[tuple[Phase, int, str]]) -> list[bool]:
        """Which of the steps the records of a run call done."""
        book = RecordBook(run)
        return [book.done(phase.__name__, round_index, player) for phase, round_index, player in steps]
