"""Calibration: what a logit is worth as a probability, on images that trained nobody (Platt 1999)."""

from typing import Self

import torch
from torch import Tensor, nn

from arena.detectors.heads.head import Sample, platt


class Calibration(nn.Module):
    """Slope and offset from a detector's logit to that of a probability.

    It holds for images like those it was fitted on, with as many fakes as reals among them.
    """

    slope: Tensor
    offset: Tensor

    def __init__(self, slope: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("slope", torch.tensor(slope, dtype=torch.float64))
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float64))

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor) -> Self:
        """Fitted on logits (N,) and labels (N,) of validation images."""
        return cls(*platt(logits.double().numpy(), Sample(logits[:, None], labels)))

    def forward(self, logits: Tensor) -> Tensor:
        """Probabilities (N,) of being fake, float64, of logits (N,)."""
        return torch.sigmoid(self.slope * logits.double() + self.offset)
