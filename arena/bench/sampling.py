"""Images made without training: fakes forged, portraits rendered."""

import numpy as np
import torch

from arena.bench.job import Job, Pace, repeated
from arena.data.portraits.portraits import BLOCK, render
from arena.data.reals import Reals
from arena.generators.base import FORGE_BATCH, TrainableGenerator


class Sampling(Job):
    """``forge``: eval mode, fp32, a batch at a time."""

    def __init__(self, generator: TrainableGenerator) -> None:
        self.generator = generator
        self.device = next(generator.parameters()).device
        side = generator.resolution
        self.reals = Reals(torch.empty(0, generator.channels, side, side, dtype=torch.uint8), np.empty(0, np.int64))

    def visit(self, seconds: float) -> Pace:
        """Batch after batch."""
        return repeated(lambda: self.generator.forge({"test": FORGE_BATCH}, 0, self.reals), FORGE_BATCH, seconds)


class Rendering(Job):
    """Portraits, drawn and photographed, on one core."""

    def __init__(self, resolution: int) -> None:
        self.resolution, self.block = resolution, 0

    def visit(self, seconds: float) -> Pace:
        """Block after block, none twice."""
        return repeated(self._render, BLOCK, seconds)

    def _render(self) -> None:
        render(self.resolution, self.block, 0)
        self.block += 1
