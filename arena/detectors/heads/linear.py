"""Linear, fingerprint and nearest-neighbour heads."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.svm import LinearSVC
from torch import Tensor

from arena.core.errors import require
from arena.detectors.heads.head import Head, Sample, log_loss, platt

PENALTIES = (0.01, 0.1, 1.0, 10.0)
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridge penalties in units of the mean eigenvalue of the Gram matrix."""
SCALE_FLOOR = 1e-6


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
        deviation = np.maximum(x.std(0), SCALE_FLOOR) if self.standardised else np.ones_like(mean)
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


NORM_FLOOR = 0.1
"""Grey levels added, in squares, to a pixel's deviation: some pixels of some data are the same in every image."""


def normalised(residuals: Tensor) -> Tensor:
    """Residuals (B, F) less their mean, divided by their norm; 0 where there is nothing."""
    centred = residuals - residuals.mean(1, keepdim=True)
    return centred / (centred.square().sum(1, keepdim=True) + 1e-6).sqrt()


class FingerprintHead(Head):
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
        self.deviation = (variances.mean(0) + NORM_FLOOR**2).sqrt().float()
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


DISTANCE_FLOOR = 1e-6


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
        self.mean, self.deviation = x.mean(0), x.std(0).clamp_min(DISTANCE_FLOOR)
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
