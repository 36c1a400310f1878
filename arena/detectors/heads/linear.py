"""Linear heads: a support vector machine and ridge regression."""

import math
from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.svm import LinearSVC
from torch import Tensor

from arena.detectors.heads.head import Head, Sample, log_loss, platt

PENALTIES = (0.01, 0.1, 1.0, 10.0)
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridge penalties in units of the mean eigenvalue of the Gram matrix."""
SCALE_FLOOR = 1e-6
Margin = tuple[NDArray[np.float64], float]
"""Weights (F,) and bias."""


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
        deviation = np.maximum(x.std(0), SCALE_FLOOR) if self.standardised else np.ones_like(mean)
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
