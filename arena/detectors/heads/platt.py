"""A head for one feature that is a logit already: its scale is set, its order stays (Platt 1999)."""

import torch
from torch import Tensor

from arena.detectors.heads.head import Head, Sample, platt


class Platt(Head):
    """Slope and offset, fitted on validation alone; the slope is positive whatever validation says."""

    slope: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("slope", torch.ones((), dtype=torch.float64))
        self.register_buffer("offset", torch.zeros((), dtype=torch.float64))

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Fit on validation; the training images are not looked at."""
        slope, offset = platt(validation.features[:, 0].double().numpy(), validation)
        self.slope.fill_(slope)
        self.offset.fill_(offset)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, 1)."""
        return (self.slope * features[:, 0].double() + self.offset).float()
