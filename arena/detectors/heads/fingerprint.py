"""Fingerprints of both classes, correlated with a residual (Marra, Gragnaniello, Verdoliva & Poggi 2019)."""

import torch
from torch import Tensor

from arena.detectors.heads.head import Head, Sample, platt

FLOOR = 0.1
"""Grey levels added, in squares, to a pixel's deviation: some pixels of some data are the same in every image."""


def normalised(residuals: Tensor) -> Tensor:
    """Residuals (B, F) less their mean, divided by their norm; 0 where there is nothing."""
    centred = residuals - residuals.mean(1, keepdim=True)
    return centred / (centred.square().sum(1, keepdim=True) + 1e-6).sqrt()


class Fingerprint(Head):
    """How much better a residual correlates with the mean residual of the fakes than with that of the reals.

    Each pixel is divided by its deviation over the images of a class first: where content is busy, little is to be
    seen of a fingerprint (the maximum-likelihood weights of Chen, Fridrich, Goljan & Lukas 2008; Marra et al. weigh all
    pixels alike). The difference of the two normalised correlations is scaled to a logit by Platt's method on
    validation.
    """

    deviation: Tensor
    fingerprints: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("deviation", torch.zeros(0))
        self.register_buffer("fingerprints", torch.zeros(0, 2))  # of the reals, of the fakes
        self.register_buffer("scale", torch.tensor([1.0, 0.0], dtype=torch.float64))  # slope and offset of the logit

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Average the residuals of either class; nothing is random."""
        classes = [train.features[train.labels == label] for label in (0, 1)]
        variances = torch.stack([of.var(0, correction=0) for of in classes])
        self.deviation = (variances.mean(0) + FLOOR**2).sqrt().float()
        means = torch.stack([of.mean(0) for of in classes])
        self.fingerprints = normalised(means / self.deviation).T.float().contiguous()
        excess = self._excess(validation.features).double().numpy()
        self.scale = torch.tensor(platt(excess, validation), dtype=torch.float64)

    def _excess(self, residuals: Tensor) -> Tensor:
        """Correlation (B,) with the fakes' fingerprint less that with the reals'."""
        real, fake = (normalised(residuals.float() / self.deviation) @ self.fingerprints).unbind(1)
        return fake - real

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) of residuals (B, F)."""
        if not len(self.fingerprints):
            return features.new_zeros(len(features), dtype=torch.float32)
        with torch.autocast(features.device.type, enabled=False):
            slope, offset = self.scale
            return (slope * self._excess(features) + offset).float()
