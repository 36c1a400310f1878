"""Linear heads: a support vector machine where features are few, ridge regression where they outnumber the images."""

import math
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
FLOOR = 1e-6


class Linear(Head):
    """A weighted sum of features, its penalty chosen by the calibrated log loss on validation.

    The margin becomes a logit by Platt scaling on the same validation images.

    Args:
        standardised: whether each feature is divided by its deviation over the training set first. Histograms are not:
            a bin that is hardly ever hit would weigh as much as any.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, *, standardised: bool = True) -> None:
        super().__init__()
        self.standardised = standardised
        self.register_buffer("weight", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros((), dtype=torch.float64))

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Fit one a penalty, keep that of least loss."""
        # A copy, changed in place: of many features there is no room for several.
        x = train.features.to(torch.float64, copy=True).numpy()
        mean = x.mean(0)
        deviation = np.maximum(x.std(0), FLOOR) if self.standardised else np.ones_like(mean)
        x -= mean
        x /= deviation
        x_validation = (validation.features.double().numpy() - mean) / deviation
        best = math.inf
        for weight, bias in self._margins(x, train, seed):
            margins = x_validation @ weight + bias
            slope, offset = platt(margins, validation)
            loss = log_loss(slope * margins + offset, validation)
            if loss < best:
                best = loss
                raw = slope * weight / deviation
                self.weight = torch.from_numpy(raw)
                self.bias = torch.tensor(slope * bias + offset - float(raw @ mean), dtype=torch.float64)

    def _margins(self, x: NDArray[np.float64], train: Sample, seed: int) -> Iterator[tuple[NDArray[np.float64], float]]:
        """Weights (F,) and bias of each penalty."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, F)."""
        if not len(self.weight):
            return features.new_zeros(len(features), dtype=torch.float32)
        with torch.autocast(features.device.type, enabled=False):  # terms of both signs cancel: fp32 would blur them
            return (features.double() @ self.weight + self.bias).float()


class LinearSvm(Linear):
    """A linear support vector machine (scikit-learn's liblinear), for tens of features."""

    def _margins(self, x: NDArray[np.float64], train: Sample, seed: int) -> Iterator[tuple[NDArray[np.float64], float]]:
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
    """Ridge regression on the labels, +1 and -1, both classes counting the same; for thousands of features.

    With more features than images all penalties come from one eigendecomposition of the Gram matrix (the kernel form,
    Saunders, Gammerman & Vovk 1998), and the classifier is Fisher's discriminant with a shrunk covariance.
    """

    def _margins(self, x: NDArray[np.float64], train: Sample, seed: int) -> Iterator[tuple[NDArray[np.float64], float]]:
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
