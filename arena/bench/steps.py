"""Time the training steps of a GAN, in a bare loop or under Lightning's Trainer."""

import time
from abc import ABC, abstractmethod
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


def clock(device: torch.device) -> tuple[float, float]:
    """Return time and processor time, once the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float], units: int, device: torch.device) -> Pace:
    """Return the pace of units of work that began at that reading of the clock."""
    return Pace(*((b - a) / units for a, b in zip(start, clock(device), strict=True)))


def timed(work: Callable[[], object], units: int, device: torch.device) -> Pace:
    """Return the pace of work that consists of so many units."""
    start = clock(device)
    work()
    return since(start, units, device)


class TrainingLoop(ABC):
    """Runs steps of a GAN and times them.

    Args:
        gan: on its device.
        machine: device and precision.
    """

    def __init__(self, gan: GanTraining, machine: Machine) -> None:
        self.gan, self.machine = gan, machine

    @abstractmethod
    def run(self, first: int, n: int) -> Pace:
        """Take ``n`` steps, the first of that number, and return the pace of a step."""


class BareGanTraining(GanTraining):
    """The same training step without a Trainer: plain optimizers and a plain backward pass."""

    def optimizers(self, use_pl_optimizer: bool = True) -> list[LightningOptimizer]:  # type: ignore[override]
        """Return torch's optimizers, which have the methods that a step calls."""
        if not hasattr(self, "_own"):
            self._own = self.configure_optimizers()
        return cast(list[LightningOptimizer], self._own)

    def manual_backward(self, loss: Tensor, *args: object, **kwargs: object) -> None:
        """Run the backward pass alone."""
        loss.backward()


class BareLoop(TrainingLoop):
    """A loop over the steps of a ``BareGanTraining``, under autocast for bf16."""

    def run(self, first: int, n: int) -> Pace:
        """Time the loop as a whole."""
        self.gan.step = first
        return timed(lambda: [self._step(k) for k in range(n)], n, self.machine.device)

    def _step(self, tick: int) -> None:
        # One region per step, because autocast keeps cast weights until the end of a region.
        with torch.autocast(self.machine.device.type, torch.bfloat16, enabled=self.machine.precision == "bf16"):
            self.gan.training_step(tick)


class LightningLoop(TrainingLoop):
    """The same steps in one ``fit`` of a fresh Trainer, timed from the start of one batch to that of another."""

    def run(self, first: int, n: int) -> Pace:
        """Run one more step before them, which creates the state of Adam, and one after. Neither is timed."""
        self.gan.step = first - 1
        timer = _BatchTimer(n, self.machine.device)
        self.machine.fit(self.gan, step_loader(0, n + 2), callbacks=[timer])
        return timer.pace


class _BatchTimer(pl.Callback):
    """Times the n batches after the first."""

    pace: Pace

    def __init__(self, n: int, device: torch.device) -> None:
        self.n, self.device = n, device

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Read the clock before the first and after the last of them."""
        if batch_idx == 1:
            self.start = clock(self.device)
        elif batch_idx == 1 + self.n:
            self.pace = since(self.start, self.n, self.device)
