"""Do the work of a cell for a while, and time it."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
import torch
from cells import TEXTBOOK, Cell, Settings, new_generator
from torch import Tensor, nn

from arena.bench.speed import BareGanTraining, Pace, bare_pace, lightning_pace, timed
from arena.data.portraits.portraits import BLOCK, render_block
from arena.data.reals import Reals
from arena.generators.base import FORGE_BATCH, TrainableGenerator
from arena.imaging.evidence import Evidence
from arena.training.gan import GanTraining
from arena.training.losses import Logistic, PenalisedLoss, Relativistic
from arena.training.machine import Machine

REALS = 1024
LONGEST_BLOCK = 12
"""Most training steps timed in one go, fewer than the interval of any lazy penalty."""


class Job(ABC):
    """The work of a cell.

    Attributes:
        parameters: of generator and discriminator, for training.
    """

    parameters: tuple[int, int] | None = None

    @abstractmethod
    def visit(self, seconds: float) -> Pace:
        """Work for about so long, at least one unit, and return the pace per image."""


def new_job(cell: Cell, settings: Settings) -> Job:
    """Build the job of a cell.

    Raises:
        ArenaError: if the cell is impossible at these settings.
    """
    if cell.work == "rendering":
        return Rendering(settings.resolution)
    machine = Machine.choose("auto", cell.precision)
    generator = new_generator(cell.name, settings)
    assert isinstance(generator, TrainableGenerator)
    if cell.work == "sampling":
        return Sampling(generator.to(machine.device))
    return Training(cell, generator, settings.resolution, settings.batch, machine)


class Training(Job):
    """Steps of a GAN on images of noise.

    Steps with a lazy penalty and steps without are timed apart and averaged in proportion, so that a short visit counts
    as a whole interval.
    """

    def __init__(
        self, cell: Cell, generator: TrainableGenerator, resolution: int, batch: int, machine: Machine
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            discriminator = generator.discriminator(resolution)
        self.batch = batch
        self.interval = 1 if cell.variant == "relativistic" else Logistic.interval
        loss: PenalisedLoss = Relativistic() if cell.variant == "relativistic" else Logistic()
        self.parameters = _count(generator), _count(discriminator)
        rng = torch.Generator().manual_seed(0)
        shape = (REALS, generator.channels, resolution, resolution)
        lightning = cell.variant == "lightning"
        gan = (GanTraining if lightning else BareGanTraining)(
            generator=generator,
            discriminator=discriminator,
            loss=loss,
            evidence=Evidence(levels=256),
            reals=torch.randint(256, shape, generator=rng, dtype=torch.uint8),
            batch=batch,
            seed=0,
            log_every=10**9,  # there is no logger
        )
        if cell.name == TEXTBOOK or cell.variant == "contiguous":
            for parameter in gan.parameters():
                parameter.data = parameter.data.contiguous()
        if cell.variant == "compiled":
            _compile(gan)
        self.run = partial(lightning_pace if lightning else bare_pace, gan.to(machine.device), machine)

    def visit(self, seconds: float) -> Pace:
        """Take one step with a lazy penalty, and as many without as there is time for."""
        stop = time.perf_counter() + seconds
        penalised = self.run(self.interval, 1) if self.interval > 1 else None
        blocks, paces, n = list[int](), list[Pace](), 1
        while not blocks or time.perf_counter() < stop:
            blocks.append(n)
            paces.append(self.run(2, n))
            n = min(LONGEST_BLOCK, max(1, int((stop - time.perf_counter()) / paces[-1].seconds)))
        step = np.average(paces, axis=0, weights=blocks)
        if penalised is not None:
            step = step + (np.array(penalised) - step) / self.interval
        return Pace(*(step / self.batch).tolist())


class Sampling(Job):
    """``forge``: eval mode, fp32, a batch at a time."""

    def __init__(self, generator: TrainableGenerator) -> None:
        self.generator = generator
        side = generator.resolution
        self.reals = Reals(torch.empty(0, generator.channels, side, side, dtype=torch.uint8), np.empty(0, np.int64))

    def visit(self, seconds: float) -> Pace:
        """Forge batch after batch."""
        return _repeated(lambda: self.generator.forge({"test": FORGE_BATCH}, 0, self.reals), FORGE_BATCH, seconds)


class Rendering(Job):
    """Portraits, drawn and photographed on one core."""

    def __init__(self, resolution: int) -> None:
        self.resolution, self.block = resolution, 0

    def visit(self, seconds: float) -> Pace:
        """Render block after block, none twice."""
        return _repeated(self._render, BLOCK, seconds)

    def _render(self) -> None:
        render_block(self.resolution, self.block, 0)
        self.block += 1


class _UncompiledPenalty(nn.Module):
    """A compiled discriminator that is not compiled for penalties, since torch.compile has no second derivative."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.compiled = cast(Callable[[Tensor], Tensor], torch.compile(discriminator))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,). The images of a penalty are a leaf of the graph."""
        return (self.discriminator if images.is_leaf and images.requires_grad else self.compiled)(images)


def _compile(gan: GanTraining) -> None:
    """Compile the discriminator as a whole, and the generator layer by layer, since noise is drawn between layers."""
    # Layers of one class share their code, and every width and side is a version of it. The default of 8 is too few.
    torch._dynamo.config.recompile_limit = 64
    for child in gan.generator.children():
        for layer in child if isinstance(child, nn.ModuleList) else [child]:
            layer.compile()
    gan.discriminator = _UncompiledPenalty(gan.discriminator)


def _repeated(work: Callable[[], object], images: int, seconds: float) -> Pace:
    """Return the mean pace of work that is repeated. Its images end on the processor."""
    stop, paces = time.perf_counter() + seconds, list[Pace]()
    while not paces or time.perf_counter() < stop:
        paces.append(timed(work, images, torch.device("cpu")))
    return Pace(*np.mean(paces, axis=0).tolist())


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
