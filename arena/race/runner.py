"""Carry out the phases of a race. A phase is done once its records are appended."""

import inspect
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from arena.core.machine import peak_memory_mib
from arena.core.progress import Progress
from arena.race.race import Race
from arena.records.schema import PhaseRecord, Record
from arena.records.store import RecordBook


class PhaseOutput(NamedTuple):
    """Records of a phase, and the number of images that it trained on or scored."""

    records: list[Record]
    images: int


Phase = Callable[..., PhaseOutput]
"""A function that takes what it uses, by name, of ``race``, ``round_index``, ``player``, ``records`` and ``progress``.

``records`` are those of the phases before. A phase reads them and the files of the run, and no other state. It does the
same whether the phases before ran in this process or in one that was killed.
"""
Step = tuple[Phase, int, str]
"""A phase, its round and its player."""


class PhaseRunner:
    """Carries out phases in order. Phases that the records call done are skipped.

    Args:
        race: context of the phases.
        progress: shows them to the user.
    """

    def __init__(self, race: Race, progress: Progress) -> None:
        self.race, self.progress = race, progress
        self.book = RecordBook(race.run)

    def __call__(self, phase: Phase, round_index: int = 0, player: str = "generator") -> None:
        """Carry out one phase that is not done yet."""
        name = phase.__name__
        if (closed := self.book.closed(name, round_index, player)) is not None:
            self.progress.skip(name, player, closed.seconds)
            return
        race, machine = self.race, self.race.machine
        if machine.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        arguments = {
            "race": race,
            "round_index": round_index,
            "player": player,
            "records": self.book.records,
            "progress": self.progress,
        }
        with self.progress.phase(name, round_index, player):
            output = phase(**{key: arguments[key] for key in inspect.signature(phase).parameters})
        record = PhaseRecord(
            round=round_index,
            seed=race.seed,
            phase=name,
            player=player,
            images=output.images,
            seconds=time.perf_counter() - start,
            peak_memory_mib=peak_memory_mib(machine.device.type == "cuda"),
            device=str(machine.device),
            precision=machine.precision,
        )
        self.book.append([*output.records, record])
        race.tracker.records(self.book.records)
