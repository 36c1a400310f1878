"""One-class detection on the features of another technique."""

from abc import abstractmethod
from typing import Literal, Protocol, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.ensemble import IsolationForest as SklearnForest
from sklearn.svm import OneClassSVM
from torch import Tensor

from arena.core.errors import error_context, require
from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import DEVIATION_FLOOR, Head, Sample
from arena.detectors.trees import FEATURE, LEAF, LEFT, RIGHT, THRESHOLD, VALUE, descend

OUTLIERS = 0.1
"""Share of the reals that a support vector machine may leave outside."""
TREES = 100
Method = Literal["mahalanobis", "svm", "forest"]


class OneClassHead(Head):
    """Distance from the training reals, standardised by the distances of the validation reals.

    It is no log odds, since nothing is known of fakes: 0 is the mean real. Features are standardised first.
    """

    mean: Tensor
    deviation: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("deviation", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor([0.0, 1.0], dtype=torch.float64))  # mean and deviation of distances

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Fit on the reals of both samples; fakes, if there are any, are left out."""
        x, x_validation = (sample.features[sample.labels == 0].double() for sample in (train, validation))
        self.mean, self.deviation = x.mean(0), x.std(0).clamp_min(DEVIATION_FLOOR)
        self.enclose(((x - self.mean) / self.deviation).numpy(), seed)
        distance = self.distance((x_validation - self.mean) / self.deviation)
        self.scale = torch.stack([distance.mean(), distance.std().clamp_min(DEVIATION_FLOOR)])

    @abstractmethod
    def enclose(self, x: NDArray[np.float64], seed: int) -> None:
        """Learn the region of the reals from their standardised features (N, F)."""

    @abstractmethod
    def distance(self, x: Tensor) -> Tensor:
        """Distances (B,) of standardised features (B, F) from that region, in any unit."""

    def logits(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, F)."""
        mean, deviation = self.scale
        return ((self.distance((features.double() - self.mean) / self.deviation) - mean) / deviation).float()


class Mahalanobis(OneClassHead):
    """The distance of Mahalanobis (1936), its covariance shrunk after Ledoit & Wolf (2004)."""

    whitening: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("whitening", torch.zeros(0, 0, dtype=torch.float64))

    def enclose(self, x: NDArray[np.float64], seed: int) -> None:
        """Estimate the covariance; nothing is random."""
        covariance, _ = ledoit_wolf(x, assume_centered=True)
        self.whitening = torch.from_numpy(np.linalg.cholesky(np.linalg.inv(covariance)))

    def distance(self, x: Tensor) -> Tensor:
        """Mahalanobis distances."""
        return ((x @ self.whitening).square().sum(1) + DEVIATION_FLOOR).sqrt()


class SupportVectors(OneClassHead):
    """The one-class support vector machine (Schoelkopf et al. 2001) with a Gaussian kernel."""

    vectors: Tensor
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(0, 0, dtype=torch.float64))
        self.register_buffer("weights", torch.zeros(0, dtype=torch.float64))

    def enclose(self, x: NDArray[np.float64], seed: int) -> None:
        """Fit the support vectors; nothing is random."""
        svm = OneClassSVM(nu=OUTLIERS, gamma=1 / x.shape[1]).fit(x)
        self.vectors = torch.from_numpy(svm.support_vectors_)
        self.weights = torch.from_numpy(svm.dual_coef_[0])

    def distance(self, x: Tensor) -> Tensor:
        """Negative sum of the kernels."""
        squared = x.square().sum(1)[:, None] + self.vectors.square().sum(1) - 2 * x @ self.vectors.T
        return -torch.exp(-squared / x.shape[1]) @ self.weights


def mean_cuts(n: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean number of random cuts that isolate one of n images (Liu, Ting & Zhou 2008, equation 1).

    >>> mean_cuts(np.array([1, 2, 256])).round(2).tolist()
    [0.0, 1.0, 10.24]
    """
    more = np.maximum(n, 3).astype(np.float64) - 1
    return np.where(n > 2, 2 * (np.log(more) + np.euler_gamma) - 2 * more / (more + 1), (n == 2).astype(np.float64))


class IsolationForest(OneClassHead):
    """The isolation score of Liu, Ting & Zhou (2008): few random cuts isolate an outlier. Trees have no gradient."""

    nodes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("nodes", torch.zeros(0, 0, 6, dtype=torch.float64))

    def enclose(self, x: NDArray[np.float64], seed: int) -> None:
        """Grow the trees with scikit-learn, and keep their nodes."""
        forest = SklearnForest(n_estimators=TREES, random_state=seed % 2**32).fit(x)
        trees = [estimator.tree_ for estimator in forest.estimators_]
        nodes = np.zeros((len(trees), max(tree.node_count for tree in trees), 6))
        nodes[..., LEAF] = 1
        unit = float(mean_cuts(np.array([forest.max_samples_]))[0]) * len(trees)
        for tree, node in zip(trees, nodes, strict=True):
            stored = node[: tree.node_count]
            stored[:, FEATURE], stored[:, THRESHOLD] = tree.feature.clip(0), tree.threshold
            stored[:, LEFT], stored[:, RIGHT] = tree.children_left, tree.children_right
            stored[:, LEAF] = tree.children_left < 0
            cuts = tree.compute_node_depths() - 1 + mean_cuts(tree.n_node_samples)
            stored[:, VALUE] = cuts / unit
        self.nodes = torch.from_numpy(nodes)

    @torch.no_grad()
    def distance(self, x: Tensor) -> Tensor:
        """Isolation scores, between 0 and 1."""
        return torch.exp2(-descend(self.nodes, x.float()).sum(1))  # scikit-learn's trees are grown on float32


HEADS = {"mahalanobis": Mahalanobis, "svm": SupportVectors, "forest": IsolationForest}


class FeatureTechnique(Protocol):
    """Factory of the technique whose features are used, as Hydra's ``_partial_`` leaves it."""

    def __call__(self, *, resolution: int, channels: int, levels: int) -> FittedDetector:
        """Build the technique for images of that shape."""
        ...


class OneClass(FittedDetector):
    """The distance of an image from the reals alone: no fake is used, so that no generator is favoured.

    Paper: Khalid & Woo (2020), one-class detection of deepfakes; the distances are those of Mahalanobis (1936), of the
    one-class support vector machine (Schoelkopf et al. 2001) and of the isolation forest (Liu, Ting & Zhou 2008).
    Differences: Khalid & Woo train a variational autoencoder. Here the features are another technique's, without its
    head. That technique is a ``FittedDetector``, since a network would have learned its features from fakes.
    Blind spots: A fake that is more typical than most reals, and any artefact that hides among the differences between
    reals, such as a noise residual of few grey levels. It has no gradient where the features have none. There is none
    through the isolation forest.
    Example: ``battery.add=[oneclass] battery.members.oneclass.method=svm``

    Args:
        of: the technique whose features it takes.
        method: ``mahalanobis``, ``svm`` or ``forest``.
    """

    needs_fakes = False
    artefact = "stripes"

    def __init__(self, *, of: FeatureTechnique, method: Method, **shape: Unpack[ImageShape]) -> None:
        super().__init__(**shape)
        with error_context("of"):
            self.of = of(**shape)
        fitted = isinstance(self.of, FittedDetector)
        require(fitted, "of", type(self.of).__name__, "a technique of features under a head, such as forest")
        del self.of.head
        self.differentiable = self.of.differentiable and method != "forest"
        self.soft = self.of.differentiable or self.of.soft
        self.head = HEADS[method]()

    def features(self, images: Tensor) -> Tensor:
        """Features (B, F) of the other technique, of images (B, C, H, W)."""
        return self.of.features(images)

    def soft_features(self, images: Tensor) -> Tensor:
        """Features (B, F) of the other technique, with a gradient where it has one."""
        return self.of.soft_features(images)
