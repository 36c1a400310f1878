"""Heads fitted on features, each kept as tensors and never as a pickle: linear ones, and nearest neighbours."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from scipy.linalg import eigh
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch import Tensor, nn

PENALTIES = (0.01, 0.1, 1.0, 10.0)
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridge penalties in units of the mean eigenvalue of the Gram matrix."""
DEVIATION_FLOOR = 1e-6
"""Least deviation of a feature by which it is divided."""
Margin = tuple[NDArray[np.float64], float]
"""Weights (F,) and bias."""


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


class Linear(Head):
    """A weighted sum of features. Its penalty has the least log loss on validation, after Platt scaling there.

    Args:
        standardised: whether each feature is first divided by its deviation over the training set. Histograms are not:
            a bin that is hardly ever hit would weigh as much as any other.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, *, standardised: bool = True) -> None:
        super().__init__()
        self.standardised = standardised
        self.register_buffer("weight", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros((), dtype=torch.float64))

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Fit one margin per penalty and keep the one of least loss."""
        # A copy, changed in place: of many features there is no room for several.
        x = train.features.to(torch.float64, copy=True).numpy()
        mean = x.mean(0)
        deviation = np.maximum(x.std(0), DEVIATION_FLOOR) if self.standardised else np.ones_like(mean)
        x -= mean
        x /= deviation
        x_validation = (validation.features.double().numpy() - mean) / deviation
        best = math.inf
        for weight, bias in self.margins(x, train, seed):
            margins = x_validation @ weight + bias
            slope, offset = platt(margins, validation)
            loss = log_loss(slope * margins + offset, validation)
            if loss < best:
                best = loss
                raw = slope * weight / deviation
                self.weight = torch.from_numpy(raw)
                self.bias = torch.tensor(slope * bias + offset - float(raw @ mean), dtype=torch.float64)

    @abstractmethod
    def margins(self, x: NDArray[np.float64], train: Sample, seed: int) -> Iterator[Margin]:
        """Margins of the penalties, fitted on features x (N, F), which may be changed in place."""

    def logits(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, F)."""
        return (features.double() @ self.weight + self.bias).float()


class LinearSvm(Linear):
    """A linear support vector machine (scikit-learn's liblinear), for tens of features."""

    def margins(self, x: NDArray[np.float64], train: Sample, seed: int) -> Iterator[Margin]:
        """One support vector machine per penalty."""
        for penalty in PENALTIES:
            svm = LinearSVC(
                C=penalty,
                class_weight="balanced",
                dual=False,  # type: ignore[arg-type]  # typed after its default
                max_iter=10_000,
                random_state=seed % 2**32,
            )
            svm.fit(x, train.labels.numpy())
            yield np.ravel(svm.coef_), float(np.ravel(svm.intercept_)[0])


class Ridge(Linear):
    """Ridge regression on labels of +1 and -1, both classes weighing the same; for thousands of features.

    It is Fisher's discriminant with a shrunk covariance. With more features than images, all penalties come from one
    eigendecomposition of the Gram matrix (the kernel form of Saunders, Gammerman & Vovk 1998).
    """

    def margins(self, x: NDArray[np.float64], train: Sample, seed: int) -> Iterator[Margin]:
        """One regression per penalty."""
        root = np.sqrt(train.weights.double().numpy())
        target = 2.0 * train.labels.double().numpy() - 1.0  # of weighted mean 0
        centre = np.average(x, axis=0, weights=root**2)
        x -= centre
        x *= root[:, None]
        small = x.shape[1] <= x.shape[0]
        values, vectors = eigh(x.T @ x if small else x @ x.T)
        aim = x.T @ (root * target) if small else root * target
        turned, scale = vectors.T @ aim, float(values.clip(0).mean())
        for ridge in RIDGES:
            solution = vectors @ (turned / (values.clip(0) + ridge * scale + 1e-12))
            weight = solution if small else x.T @ solution
            yield weight, -float(weight @ centre)


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
        self.mean, self.deviation = x.mean(0), x.std(0).clamp_min(DEVIATION_FLOOR)
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
