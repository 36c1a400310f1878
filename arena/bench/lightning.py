"""What Lightning costs: the milliseconds its Trainer adds to a step, seen on a GAN too small to hide them."""

import time
from collections.abc import Sequence

import numpy as np
from rich.progress import Progress

from arena.bench.cells import STYLE, Cell
from arena.bench.measure import new_job
from arena.bench.settings import Settings
from arena.bench.steps import LONGEST_BLOCK, Training
from arena.training.machine import Precision

SMALL = Settings(resolution=8, batch=4, width=8)
FEWEST = 3
"""Pairs of a bare loop and one under Lightning."""


def lightning_cost(cells: Sequence[Cell], seconds: float, progress: Progress) -> dict[Precision, float]:
    """Milliseconds a step, by precision, where the cells have Lightning at all; measured for so long each."""
    driven = [cell for cell in cells if cell.variant == "lightning"]
    return {
        cell.precision: added_milliseconds(cell.precision, seconds)
        for cell in progress.track(driven, description="what Lightning costs")
    }


def added_milliseconds(precision: Precision, seconds: float) -> float:
    """Median difference between a step under Lightning and the same step in a bare loop, pair after pair.

    It does not depend on the size of the networks: there are as many optimizers, hooks and ticks.
    """
    bare, driven = (new_job(Cell("training", STYLE, precision, variant), SMALL) for variant in ("plain", "lightning"))
    assert isinstance(bare, Training)
    assert isinstance(driven, Training)
    bare.visit(0)
    driven.visit(0)
    stop, differences = time.perf_counter() + seconds, list[float]()
    while len(differences) < FEWEST or time.perf_counter() < stop:
        less = bare.run(2, LONGEST_BLOCK).seconds
        differences.append(driven.run(2, LONGEST_BLOCK).seconds - less)
    return 1000 * float(np.median(differences))
