"""Heads that compare an image with each class: with its mean (a fingerprint) or with its nearest images."""

import torch
from pydantic import PositiveInt
from torch import Tensor

from arena.detectors.heads.head import Sample, ScaledHead

NORM_FLOOR = 0.1
"""Grey levels added, in squares, to the deviation of a pixel: some pixels of some data are the same in every image."""
DISTANCE_FLOOR = 1e-6


def normalised(residuals: Tensor) -> Tensor:
    """Residuals (B, F) less their mean, divided by their norm; a flat residual gives 0."""
    centred = residuals - residuals.mean(1, keepdim=True)
    return centred / (centred.square().sum(1, keepdim=True) + 1e-6).sqrt()


class FingerprintHead(ScaledHead):
    """Correlation of a residual with the mean residual of the fakes, less that with the mean residual of the reals.

    Each pixel is first divided by its deviation within the classes: a fingerprint hardly shows where content is busy.
    These are the maximum-likelihood weights of Chen, Fridrich, Goljan & Lukas (2008).
    """

    deviation: Tensor
    fingerprints: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("deviation", torch.zeros(0))
        self.register_buffer("fingerprints", torch.zeros(0, 2))  # of the reals, of the fakes

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Average the residuals of either class; nothing is random."""
        classes = [train.features[train.labels == label] for label in (0, 1)]
        variances = torch.stack([residuals.var(0, correction=0) for residuals in classes])
        self.deviation = (variances.mean(0) + NORM_FLOOR**2).sqrt().float()
        means = torch.stack([residuals.mean(0) for residuals in classes])
        self.fingerprints = normalised(means / self.deviation).T.float().contiguous()
        self.calibrate(validation)

    def margin(self, features: Tensor) -> Tensor:
        """Correlations (B,) of residuals (B, F) with the fakes' fingerprint, less those with the reals'."""
        real, fake = (normalised(features.float() / self.deviation) @ self.fingerprints).unbind(1)
        return fake - real


class Neighbours(ScaledHead):
    """Mean squared distance from the nearest training reals, less that from the nearest training fakes.

    Features are standardised. The margin is the log ratio of two densities with Gaussian kernels, of which the nearest
    images alone count. A majority vote among neighbours takes few values and is flat between them. This margin falls
    all the way as an image moves from the fakes about it towards the reals about it, and so has a gradient.

    Args:
        neighbours: nearest images of each class that count.
    """

    mean: Tensor
    deviation: Tensor
    reals: Tensor
    fakes: Tensor

    def __init__(self, *, neighbours: PositiveInt) -> None:
        super().__init__()
        self.neighbours = neighbours
        for name in ("mean", "deviation", "reals", "fakes"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Keep the features of the training images; nothing is random."""
        x = train.features.double()
        self.mean, self.deviation = x.mean(0), x.std(0).clamp_min(DISTANCE_FLOOR)
        x = (x - self.mean) / self.deviation
        self.reals, self.fakes = x[train.labels == 0], x[train.labels == 1]
        self.calibrate(validation)

    def margin(self, features: Tensor) -> Tensor:
        """Differences (B,) of the mean squared distances of features (B, F)."""
        x = (features.double() - self.mean) / self.deviation
        return self._squared_distance(x, self.reals) - self._squared_distance(x, self.fakes)

    def _squared_distance(self, x: Tensor, images: Tensor) -> Tensor:
        """Mean squared distance (B,) of points (B, F) from the nearest of images (N, F)."""
        squared = x.square().sum(1)[:, None] + images.square().sum(1) - 2 * x @ images.T
        return squared.topk(min(self.neighbours, len(images)), largest=False).values.mean(1)
