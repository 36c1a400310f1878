"""Time the training steps of a GAN, in a bare loop or under Lightning's Trainer."""

import time
from collections.abc import Callable
from typing import NamedTuple, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor

from arena.training.gan import GanTraining
from arena.training.machine import Machine, step_loader


class Pace(NamedTuple):
    """Seconds per unit of work: by the clock, and of processor time (all threads together)."""

    seconds: float
    processor: float


def clock(device: torch.device) -> Pace:
    """Return time and processor time, once the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return Pace(time.perf_counter(), time.process_time())


def since(start: Pace, units: int, device: torch.device) -> Pace:
    """Return the pace of units of work that began at that reading of the clock."""
    return Pace(*((b - a) / units for a, b in zip(start, clock(device), strict=True)))


def timed(work: Callable[[], object], units: int, device: torch.device) -> Pace:
    """Return the pace of work that consists of so many units."""
    start = clock(device)
    work()
    return since(start, units, device)


class BareGanTraining(GanTraining):
    """A training step without a Trainer: plain optimizers and a plain backward pass."""

    def optimizers(self, use_pl_optimizer: bool = True) -> list[LightningOptimizer]:  # type: ignore[override]
        """Return torch's optimizers, which have the methods that a step calls."""
        if not hasattr(self, "_own"):
            self._own = self.configure_optimizers()
        return cast(list[LightningOptimizer], self._own)

    def manual_backward(self, loss: Tensor, *args: object, **kwargs: object) -> None:
        """Run the backward pass alone."""
        loss.backward()


def bare_pace(gan: GanTraining, machine: Machine, first: int, n: int) -> Pace:
    """Take ``n`` steps in a loop, the first of that number, and return the pace of a step.

    Args:
        gan: a ``BareGanTraining``, on its device.
        machine: device and precision. bf16 runs under autocast.
        first: number of the first step.
        n: number of steps.
    """

    def steps() -> None:
        for tick in range(n):
            # One region per step, because autocast keeps cast weights until the end of a region.
            with torch.autocast(machine.device.type, torch.bfloat16, enabled=machine.precision == "bf16"):
                gan.training_step(tick)

    gan.step = first
    return timed(steps, n, machine.device)


def lightning_pace(gan: GanTraining, machine: Machine, first: int, n: int) -> Pace:
    """Take the same steps in one ``fit`` of a fresh Trainer, and return the pace of a step.

    The Trainer takes one more step before them, which creates the state of Adam, and one after. Neither is timed.
    """
    gan.step = first - 1
    timer = _BatchTimer(n, machine.device)
    machine.fit(gan, step_loader(0, n + 2), callbacks=[timer])
    return timer.pace


class _BatchTimer(pl.Callback):
    """Times the n batches after the first."""

    pace: Pace

    def __init__(self, n: int, device: torch.device) -> None:
        self.n, self.device = n, device

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        if batch_idx == 1:
            self.start = clock(self.device)
        elif batch_idx == 1 + self.n:
            self.pace = since(self.start, self.n, self.device)
