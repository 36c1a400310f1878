"""Measure the cells, and tabulate them.

Every cell is first tried in a process of its own, for its memory. Those that work are then timed in turn, over
and over, so that other processes on the machine disturb them alike.
"""

import dataclasses
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch
from cells import TEXTBOOK, Cell, Settings
from jobs import new_job
from rich.box import SIMPLE_HEAD
from rich.progress import Progress
from rich.table import Table

from arena.bench.speed import Pace
from arena.core.machine import peak_memory_mib

VISITS = 7
"""Visits to every cell. Their median counts."""
PATIENCE = 900.0
"""Seconds until a cell that is not ready is given up."""
PATIENCE_WITH_COMPILER = 24.0
"""The same for a compiled cell, in units of its timing: compiling may take many minutes."""


@dataclass(frozen=True)
class Trial:
    """First visit to a cell, in a process of its own.

    Args:
        idle_memory_mib: of that process before the visit, everything imported. 0 on a GPU.
        peak_memory_mib: of that process, or of its GPU memory.
        parameters: of generator and discriminator, for training.
        failed: None, or a word for the failure: the type of the error, ``slow`` or ``killed``.
        reason: message of the error.
    """

    idle_memory_mib: float = 0.0
    peak_memory_mib: float = 0.0
    parameters: tuple[int, int] | None = None
    failed: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Figures:
    """Measurements of a cell: its trial, and the pace of each visit."""

    cell: Cell
    trial: Trial
    paces: list[Pace]

    @property
    def images_per_second(self) -> float:
        """Median over the visits."""
        return 1 / float(np.median([pace.seconds for pace in self.paces]))

    @property
    def images_per_core_second(self) -> float:
        """Median over the visits, by processor time of all threads."""
        return 1 / float(np.median([pace.processor for pace in self.paces]))

    @property
    def spread(self) -> float:
        """Half the interquartile range of the visits, as a share of the median."""
        low, middle, high = np.quantile([pace.seconds for pace in self.paces], (0.25, 0.5, 0.75))
        return float((high - low) / 2 / middle)


def measure(rows: Sequence[Cell], settings: Settings, progress: Progress) -> list[Figures]:
    """Try each cell in a process of its own, then time those that work, interleaved."""
    trials = [try_alone(cell, settings) for cell in progress.track(rows, description="memory")]
    figures = [Figures(cell, trial, []) for cell, trial in zip(rows, trials, strict=True)]
    jobs = [(row, new_job(row.cell, settings)) for row in figures if row.trial.failed is None]
    for _, job in progress.track(jobs, description="warming up"):
        job.visit(0)
    # Forward and backward, so that a steady change of pace favours none.
    turns = [pair for visit in range(VISITS) for pair in (jobs if visit % 2 == 0 else reversed(jobs))]
    for row, job in progress.track(turns, description="timing, in turn"):
        row.paces.append(job.visit(settings.seconds / VISITS))
    return figures


def try_alone(cell: Cell, settings: Settings) -> Trial:
    """Make the shortest visit to a cell, in a new process."""
    # A fork of a process that has only imported. CUDA does not survive a fork.
    context = multiprocessing.get_context("spawn" if torch.cuda.is_available() else "forkserver")
    context.set_forkserver_preload([__name__])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=first_visit, args=(sender, cell, settings))
    process.start()
    sender.close()
    patience = PATIENCE_WITH_COMPILER * settings.seconds if cell.variant == "compiled" else PATIENCE
    try:
        if not receiver.poll(patience):
            return Trial(failed="slow", reason=f"not ready after {patience:.0f} s")
        return receiver.recv()
    except EOFError:
        return Trial(failed="killed", reason="the process was killed, perhaps for want of memory")
    finally:
        process.kill()
        process.join()


def first_visit(answer: Connection, cell: Cell, settings: Settings) -> None:
    """In the new process: visit the cell once, and send the trial."""
    on_gpu = torch.cuda.is_available() and cell.work != "rendering"
    idle = peak_memory_mib(on_gpu)
    try:
        job = new_job(cell, settings)
        job.visit(0)
    except Exception as error:  # the other cells can be measured all the same
        cause: BaseException = error
        while (inner := cause.__cause__ or cause.__context__) is not None:
            cause = inner
        answer.send(Trial(failed=type(cause).__name__, reason=f"{' '.join(str(cause).split()):.300}"))
    else:
        answer.send(Trial(idle, peak_memory_mib(on_gpu), job.parameters))


def textbook_of(row: Figures, figures: Sequence[Figures]) -> Figures | None:
    """Return the textbook port at the same work, if it was measured."""
    return next((o for o in figures if o.cell.name == TEXTBOOK and o.cell.work == row.cell.work and o.paces), None)


def table(figures: Sequence[Figures]) -> Table:
    """Tabulate the cells, with the reason for those that could not be measured."""
    caption = "x: times the textbook port at the same work. MiB: peak of a process of its own"
    result = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    words = ("work", "of", "how")
    for heading in (*words, "parameters", "images/s", "±", "x", "images/core-s", "x", "MiB"):
        result.add_column(heading, justify="left" if heading in words else "right", no_wrap=True)
    for row in figures:
        cell, trial, base = row.cell, row.trial, textbook_of(row, figures)
        how = cell.precision if cell.variant == "plain" else f"{cell.precision} {cell.variant}"
        if trial.failed is not None:
            result.add_row(cell.work, cell.name, how, f"{trial.failed}: {trial.reason}")
            continue
        size = "" if trial.parameters is None else " + ".join(f"{n / 1e6:.2f}M" for n in trial.parameters)
        wall, core = row.images_per_second, row.images_per_core_second
        times = (
            [f"{wall / base.images_per_second:.2f}", f"{core / base.images_per_core_second:.2f}"] if base else ["", ""]
        )
        result.add_row(
            *(cell.work, cell.name, how, size, f"{wall:.1f}", f"{row.spread:.0%}", times[0], f"{core:.1f}", times[1]),
            f"{trial.peak_memory_mib:.0f}",
        )
    return result


def as_json(figures: Sequence[Figures]) -> list[dict[str, object]]:
    """Return one dictionary per cell: the cell, its trial and the seconds per image of each visit."""
    return [
        {
            **dataclasses.asdict(row.cell),
            **dataclasses.asdict(row.trial),
            "seconds_per_image": [pace.seconds for pace in row.paces],
            "core_seconds_per_image": [pace.processor for pace in row.paces],
        }
        for row in figures
    ]
