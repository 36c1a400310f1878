"""Nearest neighbours (Fix & Hodges 1951), compared by distance and not by vote, so that they have a gradient."""

import torch
from torch import Tensor

from arena.config import require
from arena.detectors.heads.head import Head, Sample, platt

FLOOR = 1e-6


class Neighbours(Head):
    """How much nearer the nearest fakes of the training set lie than its nearest reals, in standardised features.

    The logit is the difference of the mean squared distances from the ``neighbours`` nearest of either class, scaled by
    Platt's method on validation: the ratio of two densities with Gaussian kernels, of which the nearest alone count. A
    majority among the nearest of both, as the textbook has it, takes few values and is flat between them; this falls
    as an image moves from the fakes about it towards the reals about it, wherever it is.

    Args:
        neighbours: nearest images of each class that count.
    """

    mean: Tensor
    deviation: Tensor
    reals: Tensor
    fakes: Tensor
    scale: Tensor

    def __init__(self, *, neighbours: int) -> None:
        super().__init__()
        require(neighbours >= 1, "neighbours", neighbours, "at least 1")
        self.neighbours = neighbours
        for name in ("mean", "deviation", "reals", "fakes"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor([1.0, 0.0], dtype=torch.float64))  # slope and offset of the logit

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Keep the training images' features; nothing is random."""
        x = train.features.double()
        self.mean, self.deviation = x.mean(0), x.std(0).clamp_min(FLOOR)
        x = (x - self.mean) / self.deviation
        self.reals, self.fakes = x[train.labels == 0], x[train.labels == 1]
        self.scale = torch.tensor(platt(self._nearness(validation.features).numpy(), validation), dtype=torch.float64)

    def _nearness(self, features: Tensor) -> Tensor:
        """Mean squared distance (B,) from the nearest reals, less that from the nearest fakes."""
        x = (features.double() - self.mean) / self.deviation
        return self._squared_distance(x, self.reals) - self._squared_distance(x, self.fakes)

    def _squared_distance(self, x: Tensor, of: Tensor) -> Tensor:
        """Mean (B,) over the nearest of points (N, F) to each of points (B, F)."""
        squared = x.square().sum(1)[:, None] + of.square().sum(1) - 2 * x @ of.T
        return squared.topk(min(self.neighbours, len(of)), largest=False).values.mean(1)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, F)."""
        if not len(self.mean):
            return features.new_zeros(len(features), dtype=torch.float32)
        with torch.autocast(features.device.type, enabled=False):
            slope, offset = self.scale
            return (slope * self._nearness(features) + offset).float()
