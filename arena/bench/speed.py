"""Measure how fast this machine trains and samples the generator of a race, and the cost of Lightning's Trainer."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import Tensor

from arena.core.errors import ArenaError
from arena.core.machine import as_many_as_pay, processor
from arena.generators.base import FORGE_BATCH, TrainableGenerator
from arena.generators.style import StyleGenerator
from arena.imaging.evidence import Evidence
from arena.race.race import Race
from arena.training.gan import GanTraining
from arena.training.losses import Relativistic
from arena.training.machine import Machine

BLOCK = 16
"""Steps timed together: one interval of a lazy R1 penalty, so that each block holds its share of penalties."""
FEWEST = 3
"""Fewest repetitions of any measurement."""

Gan = TypeVar("Gan", bound=GanTraining)


@dataclass(frozen=True)
class Throughput:
    """Throughput of one kind of work.

    Args:
        images_per_second: median over the repetitions.
        images_per_core_second: the same per second of processor time, which other processes disturb less.
        spread: half the interquartile range of the time, as a share of its median.
    """

    images_per_second: float
    images_per_core_second: float
    spread: float


@dataclass(frozen=True)
class Speed:
    """Speed of a generator on this machine.

    Args:
        machine: processor, device, threads and versions.
        generator: name of its class.
        precision: of the training. Sampling is always fp32.
        parameters: of generator and discriminator.
        training: throughput of training steps in a bare loop.
        sampling: throughput of ``forge``.
        lightning_milliseconds: added by Lightning's Trainer to each training step.
    """

    machine: str
    generator: str
    precision: str
    parameters: tuple[int, int]
    training: Throughput
    sampling: Throughput
    lightning_milliseconds: float

    def table(self) -> Table:
        """Return the throughputs, one row each."""
        table = table_of("work", "images/s", "±", "images/core-s")
        for work, row in (("training", self.training), ("sampling", self.sampling)):
            rates = f"{row.images_per_second:,.1f}", f"{row.spread:.0%}", f"{row.images_per_core_second:,.1f}"
            table.add_row(work, *rates)
        return table

    def notes(self) -> list[str]:
        """Return the networks, Lightning's cost and the machine, one line each."""
        parameters = " + ".join(f"{n / 1e6:.2f}M" for n in self.parameters)
        return [
            f"{self.generator}, {parameters} parameters, trained in {self.precision}",
            f"Lightning's Trainer adds {self.lightning_milliseconds:.2f} ms to a training step",
            f"images/core-s: per second of processor time, which other processes disturb least. {self.machine}",
        ]


def table_of(name: str, *numbers: str) -> Table:
    """Return an empty table with a column of names and columns of numbers."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column(name)
    for number in numbers:
        table.add_column(number, justify="right")
    return table


def measure_speed(race: Race, seconds: float) -> Speed:
    """Time training steps and sampling of a race's generator.

    Args:
        race: its generator, discriminator, loss, augmentation, batch and precision are those timed.
        seconds: minimum duration of each measurement.

    Raises:
        ArenaError: if the generator does not train.
    """
    generator = race.new_generator()
    if not isinstance(generator, TrainableGenerator):
        raise ArenaError(f"generator: expected one that trains, found {type(generator).__name__}")
    machine, batch, reals = race.machine, race.schedule.batch, race.generator_reals
    gan = BareGanTraining(
        generator=generator,
        discriminator=race.new_discriminator(generator),
        loss=race.loss,
        evidence=race.evidence,
        reals=reals.images,
        batch=batch,
        seed=0,
        augmentation=race.augmentation,
        log_every=10**9,  # there is no logger
    ).to(machine.device)
    with as_many_as_pay(race.data.resolution):
        training = _throughput(lambda: bare_pace(gan, machine, 0, BLOCK), batch, seconds)
    sampling = _throughput(
        lambda: timed(lambda: generator.forge({"test": FORGE_BATCH}, 0, reals), 1, machine.device), FORGE_BATCH, seconds
    )
    device = torch.cuda.get_device_name() if machine.device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return Speed(
        machine=f"{processor()} ({device}), {torch.get_num_threads()} threads on {os.cpu_count()} cores; "
        f"torch {torch.__version__}, Lightning {version('pytorch-lightning')}",
        generator=type(generator).__name__,
        precision=machine.precision,
        parameters=(_count(generator), _count(gan.discriminator)),
        training=training,
        sampling=sampling,
        lightning_milliseconds=lightning_milliseconds(machine, seconds),
    )


def lightning_milliseconds(machine: Machine, seconds: float) -> float:
    """Return the median difference between a step under Lightning and the same step in a bare loop.

    It is measured on a GAN of 8 pixels, because the cost does not depend on the networks and large ones hide it.
    """
    driven, bare = _tiny(GanTraining).to(machine.device), _tiny(BareGanTraining).to(machine.device)
    differences = [
        lightning_pace(driven, machine, 1, BLOCK).seconds - bare_pace(bare, machine, 1, BLOCK).seconds
        for _ in _repetitions(seconds)
    ]
    return 1000 * float(np.median(differences[1:]))


def _tiny(kind: type[Gan]) -> Gan:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = StyleGenerator(resolution=8, channels=3, levels=256, width=8)
        return kind(
            generator=generator,
            discriminator=generator.discriminator(8),
            loss=Relativistic(),
            evidence=Evidence(levels=256),
            reals=torch.randint(256, (64, 3, 8, 8), dtype=torch.uint8),
            batch=4,
            seed=0,
            log_every=10**9,
        )


def _count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# --- paces ------------------------------------------------------------------------------------------------------------


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


def _throughput(work: Callable[[], Pace], images: int, seconds: float) -> Throughput:
    """Repeat work on so many images. The first pass warms up and does not count."""
    paces = np.array([work() for _ in _repetitions(seconds)][1:]) / images
    low, middle, high = np.quantile(paces[:, 0], (0.25, 0.5, 0.75))
    return Throughput(float(1 / middle), float(1 / np.median(paces[:, 1])), float((high - low) / 2 / middle))


def _repetitions(seconds: float) -> Iterator[None]:
    """Yield once to warm up, then until the time is over, and at least ``FEWEST`` times."""
    yield
    stop, done = time.perf_counter() + seconds, 0
    while done < FEWEST or time.perf_counter() < stop:
        yield
        done += 1


class BareGanTraining(GanTraining):
    """A training step without a Trainer: plain optimizers and a plain backward pass."""

    def optimizers(self, use_pl_optimizer: bool = True) -> list[LightningOptimizer]:  # type: ignore[override]
        """Return torch's optimizers, which have the methods that a step calls."""
        if not hasattr(self, "_own"):
            self._own = self.configure_optimizers()
        return cast(list[LightningOptimizer], self._own)

    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Run the backward pass alone."""
        loss.backward(*args, **kwargs)


def bare_pace(gan: GanTraining, machine: Machine, first: int, n: int) -> Pace:
    """Take ``n`` steps of a ``BareGanTraining`` in a loop, and return the pace of a step.

    Args:
        gan: on its device.
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
    machine.fit(gan, range(n + 2), callbacks=[timer])
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
