"""Base class of the fitted heads, and Platt scaling."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Self

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
        """Weights (N,) float32 that balance the two classes; they sum to N."""
        fakes = self.labels.float().mean()
        return torch.where(self.labels == 1, 0.5 / fakes, 0.5 / (1 - fakes)).float()


class Head(nn.Module, ABC):
    """Features (B, F) to logits (B,). The fit is in the buffers, which are empty before it."""

    @abstractmethod
    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Fit anew."""

    @abstractmethod
    def logits(self, features: Tensor) -> Tensor:
        """Logits (B,) float32 of features (B, F), once fitted."""

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) float32 of features (B, F); 0 before the first fit, which prefers neither class."""
        if not all(buffer.numel() for buffer in self.buffers(recurse=False)):
            return features.new_zeros(len(features), dtype=torch.float32)
        with torch.autocast(features.device.type, enabled=False):  # terms of both signs cancel: bf16 would blur them
            return self.logits(features)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Give the buffers the sizes of the saved ones."""
        for name, buffer in self.named_buffers(recurse=False):
            if (saved := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(saved, device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def platt(margins: NDArray[np.floating], sample: Sample) -> tuple[float, float]:
    """Slope and offset that turn a margin into a logit (Platt 1999), both classes weighing the same.

    The slope is positive even where validation says otherwise: a negative one would fit the sign on a few images.

    Args:
        margins: (N,) of the images of the sample.
        sample: validation images, on which nothing was trained.
    """
    regression = LogisticRegression(C=1e3)
    regression.fit(margins[:, None], sample.labels.numpy(), sample_weight=sample.weights.numpy())
    return max(float(np.ravel(regression.coef_)[0]), 1e-2), float(np.ravel(regression.intercept_)[0])


def log_loss(logits: NDArray[np.floating], sample: Sample) -> float:
    """Cross-entropy in nats, both classes weighing the same."""
    signed = np.where(sample.labels.numpy() == 1, -logits, logits)
    return float(np.average(np.logaddexp(0.0, signed), weights=sample.weights.numpy()))


class PlattScaling(Head):
    """Slope and offset of a logit, fitted on validation alone.

    The calibrated logit holds for images like those of the fit, with as many fakes as reals among them.
    """

    slope: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("slope", torch.ones((), dtype=torch.float64))
        self.register_buffer("offset", torch.zeros((), dtype=torch.float64))

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor) -> Self:
        """Fit on logits (N,) and labels (N,) of validation images."""
        scaling, validation = cls(), Sample(logits[:, None], labels)
        scaling.fit(validation, validation, seed=0)
        return scaling

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Fit on the validation images; the training images are not used."""
        slope, offset = platt(validation.features[:, 0].double().numpy(), validation)
        self.slope.fill_(slope)
        self.offset.fill_(offset)

    def logits(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, 1)."""
        return (self.slope * features[:, 0].double() + self.offset).float()

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities (N,) of being fake, float64, of logits (N,)."""
        return torch.sigmoid(self.slope * logits.double() + self.offset)


class ScaledHead(Head):
    """A margin that Platt's method scales to a logit on validation."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor([1.0, 0.0], dtype=torch.float64))  # slope and offset

    @abstractmethod
    def margin(self, features: Tensor) -> Tensor:
        """Margins (B,) of features (B, F), higher for fakes."""

    def calibrate(self, validation: Sample) -> None:
        """Set the scale, once the margin is fitted."""
        margins = self.margin(validation.features).double().numpy()
        self.scale = torch.tensor(platt(margins, validation), dtype=torch.float64)

    def logits(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, F)."""
        slope, offset = self.scale
        return (slope * self.margin(features) + offset).float()
