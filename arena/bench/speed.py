"""Measure how fast this machine trains and samples the generator of a race, and the cost of Lightning's Trainer."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table

from arena.bench.steps import BareGanTraining, BareLoop, LightningLoop, Pace, timed
from arena.core.errors import ArenaError
from arena.core.machine import processor
from arena.core.threads import as_many_as_pay
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
BUSY = 0.25
"""Load average per core from which figures are marked as those of a shared machine."""


@dataclass(frozen=True)
class Throughput:
    """Images per second of one kind of work.

    Args:
        work: its name.
        images_per_second: median over the repetitions.
        images_per_core_second: the same per second of processor time, which other processes disturb less.
        spread: half the interquartile range of the time, as a share of its median.
    """

    work: str
    images_per_second: float
    images_per_core_second: float
    spread: float


@dataclass(frozen=True)
class Speed:
    """Speed of a generator on this machine.

    Args:
        machine: processor, device, threads and versions.
        load: load average of the last minute, per core.
        generator: name of its class.
        precision: of the training. Sampling is always fp32.
        parameters: of generator and discriminator.
        throughputs: of training and sampling.
        lightning_milliseconds: added by Lightning's Trainer to each training step.
    """

    machine: str
    load: float
    generator: str
    precision: str
    parameters: tuple[int, int]
    throughputs: list[Throughput]
    lightning_milliseconds: float


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
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    device, batch = race.machine.device, race.schedule.batch
    gan = BareGanTraining(
        generator=generator,
        discriminator=race.new_discriminator(generator),
        loss=race.loss,
        evidence=race.evidence,
        reals=race.generator_reals.images,
        batch=batch,
        seed=0,
        augmentation=race.augmentation,
        log_every=10**9,  # there is no logger
    ).to(device)
    loop = BareLoop(gan, race.machine)
    with as_many_as_pay(race.data.resolution):
        training = _repeated(lambda: loop.run(0, BLOCK), seconds)
    training = [Pace(*(value / batch for value in pace)) for pace in training]
    sampling = _repeated(
        lambda: timed(lambda: generator.forge({"test": FORGE_BATCH}, 0, race.generator_reals), FORGE_BATCH, device),
        seconds,
    )
    return Speed(
        machine=_machine(race.machine),
        load=load,
        generator=type(generator).__name__,
        precision=race.machine.precision,
        parameters=(_count(generator), _count(gan.discriminator)),
        throughputs=[_throughput("training", training), _throughput("sampling", sampling)],
        lightning_milliseconds=lightning_milliseconds(race.machine, seconds),
    )


def lightning_milliseconds(machine: Machine, seconds: float) -> float:
    """Return the median difference between a step under Lightning and the same step in a bare loop.

    It is measured on a GAN of 8 pixels, because the cost does not depend on the networks and large ones hide it.
    """
    loops = [
        LightningLoop(_tiny_gan(GanTraining).to(machine.device), machine),
        BareLoop(_tiny_gan(BareGanTraining).to(machine.device), machine),
    ]
    for loop in loops:
        loop.run(1, BLOCK)
    stop, differences = time.perf_counter() + seconds, list[float]()
    while len(differences) < FEWEST or time.perf_counter() < stop:
        driven, bare = (loop.run(1, BLOCK).seconds for loop in loops)
        differences.append(driven - bare)
    return 1000 * float(np.median(differences))


def _tiny_gan(kind: type[GanTraining]) -> GanTraining:
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


def _repeated(work: Callable[[], Pace], seconds: float) -> list[Pace]:
    """Repeat work until its time is over. The first pass warms up and does not count."""
    work()
    stop, paces = time.perf_counter() + seconds, list[Pace]()
    while len(paces) < FEWEST or time.perf_counter() < stop:
        paces.append(work())
    return paces


def _throughput(work: str, paces: list[Pace]) -> Throughput:
    low, middle, high = np.quantile([pace.seconds for pace in paces], (0.25, 0.5, 0.75))
    core = np.median([pace.processor for pace in paces])
    return Throughput(work, float(1 / middle), float(1 / core), float((high - low) / 2 / middle))


def _count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _machine(machine: Machine) -> str:
    device = torch.cuda.get_device_name() if machine.device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return (
        f"{processor()} ({device}), {torch.get_num_threads()} threads on {os.cpu_count()} cores; "
        f"torch {torch.__version__}, Lightning {version('pytorch-lightning')}"
    )


def speed_table(speed: Speed) -> Table:
    """Tabulate the throughputs, one row each."""
    parameters = " + ".join(f"{n / 1e6:.2f}M" for n in speed.parameters)
    title = f"{speed.generator}, {parameters} parameters, {speed.precision}"
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("work")
    for name in ("images/s", "±", "images/core-s"):
        table.add_column(name, justify="right")
    for row in speed.throughputs:
        table.add_row(
            row.work, f"{row.images_per_second:,.1f}", f"{row.spread:.0%}", f"{row.images_per_core_second:,.1f}"
        )
    return table


def speed_notes(speed: Speed) -> list[str]:
    """Return the machine, Lightning's cost, and a warning on a busy machine, one line each."""
    lines = [speed.machine, f"Lightning adds {speed.lightning_milliseconds:.2f} ms to a training step"]
    if speed.load > BUSY:
        lines.append("The machine is busy. Compare images/core-s, the throughput per second of processor time.")
    return lines
