"""Training steps of a GAN, in a bare loop or under Lightning."""

import time
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from arena.bench.cells import TEXTBOOK, Cell
from arena.bench.job import Job, Pace, clock, since, timed
from arena.generators.base import TrainableGenerator
from arena.imaging.evidence import Evidence
from arena.training.gan import GanTraining
from arena.training.losses import Logistic, PenalisedLoss, Relativistic
from arena.training.machine import Machine, step_loader

REALS = 1024
LONGEST_BLOCK = 12
"""Training steps timed in one go; shorter than the interval of any lazy penalty."""


class Training(Job):
    """Steps of a GAN on images of noise, which cost what others do.

    Steps with a lazy penalty and steps without are timed apart and averaged in proportion, so that a short visit is
    worth a whole interval.
    """

    module: ClassVar[type[GanTraining]] = GanTraining

    def __init__(
        self, cell: Cell, generator: TrainableGenerator, resolution: int, batch: int, machine: Machine
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            discriminator = generator.discriminator(resolution)
        self.machine, self.batch = machine, batch
        self.interval = 1 if cell.variant == "relativistic" else Logistic.interval
        loss: PenalisedLoss = Relativistic() if cell.variant == "relativistic" else Logistic()
        self.parameters = _count(generator), _count(discriminator)
        rng = torch.Generator().manual_seed(0)
        shape = (REALS, generator.channels, resolution, resolution)
        self.gan = self.module(
            generator=generator,
            discriminator=discriminator,
            loss=loss,
            evidence=Evidence(levels=256),
            reals=torch.randint(256, shape, generator=rng, dtype=torch.uint8),
            batch=batch,
            seed=0,
            log_every=10**9,  # nothing to log to
        )
        if cell.name == TEXTBOOK or cell.variant == "contiguous":
            for parameter in self.gan.parameters():
                parameter.data = parameter.data.contiguous()
        if cell.variant == "compiled":
            _compile(self.gan)
        self.gan.to(machine.device)

    @abstractmethod
    def run(self, first: int, n: int) -> Pace:
        """Take ``n`` steps, the first of that number, and say what a step took."""

    def visit(self, seconds: float) -> Pace:
        """One step with a penalty where penalties are lazy, and as many without as there is time for."""
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


class Bare(GanTraining):
    """GanTraining's step without a Trainer: its own optimizers, plain backward."""

    def optimizers(self, use_pl_optimizer: bool = True) -> list[LightningOptimizer]:  # type: ignore[override]
        """Those of torch, which have the two methods a step calls."""
        if not hasattr(self, "_own"):
            self._own = self.configure_optimizers()
        return cast(list[LightningOptimizer], self._own)

    def manual_backward(self, loss: Tensor, *args: object, **kwargs: object) -> None:
        """What Lightning does, and nothing around it."""
        loss.backward()


class BareLoop(Training):
    """Steps in a loop of their own, under autocast for bf16."""

    module = Bare

    def run(self, first: int, n: int) -> Pace:
        """One after the other."""
        self.gan.step = first
        return timed(lambda: [self._step(k) for k in range(n)], n, self.machine.device)

    def _step(self, tick: int) -> None:
        # A region each: autocast remembers the weights it has cast until the end of one.
        with torch.autocast(self.machine.device.type, torch.bfloat16, enabled=self.machine.precision == "bf16"):
            self.gan.training_step(tick)


class LightningLoop(Training):
    """The same steps in one ``fit`` of a fresh Trainer, timed from the start of one batch to another's."""

    def run(self, first: int, n: int) -> Pace:
        """One step before them, which makes what Adam remembers, and one after are not timed."""
        self.gan.step = first - 1
        watch = _Watch(n, self.machine.device)
        self.machine.fit(self.gan, step_loader(0, n + 2), callbacks=[watch])
        return watch.pace


class _Watch(pl.Callback):
    """Times the n batches after the first."""

    pace: Pace

    def __init__(self, n: int, device: torch.device) -> None:
        self.n, self.device = n, device

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """The clock, at both ends."""
        if batch_idx == 1:
            self.start = clock(self.device)
        elif batch_idx == 1 + self.n:
            self.pace = since(self.start, self.n, self.device)


class _Penalised(nn.Module):
    """A compiled discriminator, but for penalties: what ``torch.compile`` makes cannot be differentiated twice."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.compiled = cast(Callable[[Tensor], Tensor], torch.compile(discriminator))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,); images a gradient is taken to are a leaf of the graph."""
        return (self.discriminator if images.is_leaf and images.requires_grad else self.compiled)(images)


def _compile(gan: GanTraining) -> None:
    """The discriminator as a whole, and the generator layer by layer, since noise is drawn between them."""
    # Layers of one class share their code, and every width and side is a version of it: the default of 8 is too few.
    torch._dynamo.config.recompile_limit = 64
    for child in gan.generator.children():
        for layer in child if isinstance(child, nn.ModuleList) else [child]:
            layer.compile()
    gan.discriminator = _Penalised(gan.discriminator)


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
