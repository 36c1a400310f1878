"""Base class of the fitted heads, and Platt scaling."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn


class Sample(NamedTuple):
    """Features (N, F) on the CPU and labels (N,), 0 real and 1 fake."""

    features: Tensor
    labels: Tensor

    @property
    def weights(self) -> Tensor:
        """(N,) float32 weights under which both classes count the same; they sum to N."""
        fakes = self.labels.float().mean()
        return torch.where(self.labels == 1, 0.5 / fakes, 0.5 / (1 - fakes)).float()


class Head(nn.Module, ABC):
    """Features (B, F) to logits (B,). Its buffers hold the fit; they have no size before it, and take a saved one's."""

    @abstractmethod
    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Fit anew; before it was ever fitted, a head prefers neither class."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) float32 of features (B, F)."""

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Buffers take the sizes of those that are loaded."""
        for name, buffer in self.named_buffers(recurse=False):
            if (saved := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(saved, device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def platt(margins: NDArray[np.floating], sample: Sample) -> tuple[float, float]:
    """Slope and offset that make a logit of a margin (Platt 1999), both classes counting the same.

    A margin that validation contradicts is not turned round: that would fit the sign on a few images.

    Args:
        margins: (N,) of the sample's images.
        sample: validation, which trained nothing.
    """
    regression = LogisticRegression(C=1e3)
    regression.fit(margins[:, None], sample.labels.numpy(), sample_weight=sample.weights.numpy())
    return max(float(np.ravel(regression.coef_)[0]), 1e-2), float(np.ravel(regression.intercept_)[0])


def log_loss(logits: NDArray[np.floating], sample: Sample) -> float:
    """Cross-entropy in nats, both classes counting the same."""
    signed = np.where(sample.labels.numpy() == 1, -logits, logits)
    return float(np.average(np.logaddexp(0.0, signed), weights=sample.weights.numpy()))


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
