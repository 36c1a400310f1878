"""All cells in turn, over and over, so that a busy minute hits them all alike; and the memory of each by itself."""

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch
from rich.progress import Progress

from arena.bench.cells import Cell, new_generator
from arena.bench.job import Job, Pace
from arena.bench.sampling import Rendering, Sampling
from arena.bench.settings import Settings
from arena.bench.steps import BareLoop, LightningLoop
from arena.core.machine import peak_memory_mib
from arena.generators.base import TrainableGenerator
from arena.training.machine import Machine

VISITS = 7
"""Of every cell; the median of them counts."""
PATIENCE = 900.0
"""Seconds a cell may take to get ready."""
PATIENCE_WITH_COMPILER = 24.0
"""The same for a compiled one, in units of the seconds it is then timed for: compiling may take many minutes."""


@dataclass(frozen=True)
class Trial:
    """A cell's first visit, in a process that does nothing else.

    Attributes:
        idle_memory_mib: of that process before it, everything imported; on a GPU 0.
        peak_memory_mib: of that process, or of its GPU memory.
        parameters: of generator and discriminator, where it trains.
        failed: None, or in one word why it cannot be measured here: the kind of the error, or ``slow``.
        reason: the error's message.
    """

    idle_memory_mib: float = 0.0
    peak_memory_mib: float = 0.0
    parameters: tuple[int, int] | None = None
    failed: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Figures:
    """What was measured of a cell.

    Args:
        cell: which.
        trial: its memory, or why there is nothing more.
        paces: of its visits, in order.
    """

    cell: Cell
    trial: Trial
    paces: list[Pace]

    @property
    def images_per_second(self) -> float:
        """Median over the visits."""
        return 1 / float(np.median([pace.seconds for pace in self.paces]))

    @property
    def images_per_processor_second(self) -> float:
        """Median over the visits, of processor time of all threads: others at work on the machine disturb it less."""
        return 1 / float(np.median([pace.processor for pace in self.paces]))

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles of the visits, as a share of the median."""
        low, middle, high = np.quantile([pace.seconds for pace in self.paces], (0.25, 0.5, 0.75))
        return float((high - low) / 2 / middle)


def measure(cells: Sequence[Cell], settings: Settings, progress: Progress) -> list[Figures]:
    """Try each cell in a process of its own, then time those that work, interleaved."""
    trials = [
        try_alone(cell, settings) for cell in progress.track(cells, description="memory, each in a process of its own")
    ]
    figures = [Figures(cell, trial, []) for cell, trial in zip(cells, trials, strict=True)]
    working = [found for found in figures if found.trial.failed is None]
    jobs = [(found, new_job(found.cell, settings)) for found in working]
    for _, job in progress.track(jobs, description="warming up"):
        job.visit(0)
    # Forth and back, so that what changes steadily favours nobody.
    turns = [each for visit in range(VISITS) for each in (jobs if visit % 2 == 0 else reversed(jobs))]
    for found, job in progress.track(turns, description="timing, in turn"):
        found.paces.append(job.visit(settings.seconds / VISITS))
    return figures


def new_job(cell: Cell, settings: Settings) -> Job:
    """The job of a cell.

    Raises:
        ArenaError: where it cannot be done at these settings.
    """
    if cell.work == "rendering":
        return Rendering(settings.resolution)
    machine = Machine.choose("auto", cell.precision)
    generator = new_generator(cell.name, settings)
    assert isinstance(generator, TrainableGenerator)
    if cell.work == "sampling":
        return Sampling(generator.to(machine.device))
    loop = LightningLoop if cell.variant == "lightning" else BareLoop
    return loop(cell, generator, settings.resolution, settings.batch, machine)


def try_alone(cell: Cell, settings: Settings) -> Trial:
    """The shortest visit there is, in a new process."""
    # A fork of a process that has imported everything and done nothing; CUDA does not survive one.
    spawned = torch.cuda.is_available()
    context = multiprocessing.get_context("spawn") if spawned else multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, its = context.Pipe(duplex=False)
    process = context.Process(target=_first_visit, args=(its, cell, settings))
    process.start()
    its.close()
    patience = PATIENCE_WITH_COMPILER * settings.seconds if cell.variant == "compiled" else PATIENCE
    try:
        if not ours.poll(patience):
            return Trial(failed="slow", reason=f"not ready after {patience:.0f} s")
        return ours.recv()
    except EOFError:
        return Trial(failed="killed", reason="its process was ended; is there enough memory?")
    finally:
        process.kill()
        process.join()


def _first_visit(answer: Connection, cell: Cell, settings: Settings) -> None:
    """In the new process: visit once, and send what there is to tell."""
    on_gpu = torch.cuda.is_available() and cell.work != "rendering"
    idle = peak_memory_mib(on_gpu)
    try:
        job = new_job(cell, settings)
        job.visit(0)
    except Exception as error:  # whatever it is, the other cells can be measured
        cause = _innermost(error)
        reason = " ".join(str(cause).split())
        answer.send(Trial(failed=type(cause).__name__, reason=f"{reason:.300}"))
    else:
        answer.send(Trial(idle, peak_memory_mib(on_gpu), job.parameters))


def _innermost(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
