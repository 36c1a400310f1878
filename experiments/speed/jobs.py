"""A cell at work, and the clock it is timed by."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch


class Pace(NamedTuple):
    """Seconds an image takes: by the clock, and of processor time (all threads together)."""

    seconds: float
    processor: float


class Job(ABC):
    """A cell at work.

    Attributes:
        parameters: of generator and discriminator, where it trains.
    """

    parameters: tuple[int, int] | None = None

    @abstractmethod
    def visit(self, seconds: float) -> Pace:
        """Work for about so long, at least one unit, and say how fast it went."""


def clock(device: torch.device) -> tuple[float, float]:
    """Time and processor time, once the device has done all it was told to."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def timed(work: Callable[[], object], units: int, device: torch.device) -> Pace:
    """The time of a piece of work, for each of its units."""
    start = clock(device)
    work()
    return since(start, units, device)


def since(start: tuple[float, float], units: int, device: torch.device) -> Pace:
    """The time from that reading of the clock until now, for each of its units."""
    return Pace(*((b - a) / units for a, b in zip(start, clock(device), strict=True)))


def repeated(work: Callable[[], object], images: int, seconds: float) -> Pace:
    """Mean pace of work that is done over and over; its images end on the processor."""
    stop, paces = time.perf_counter() + seconds, list[Pace]()
    while not paces or time.perf_counter() < stop:
        paces.append(timed(work, images, torch.device("cpu")))
    return Pace(*np.mean(paces, axis=0).tolist())
