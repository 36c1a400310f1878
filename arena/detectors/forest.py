"""Boosted trees on hand-made statistics: a technique without any gradient (Friedman 2001, in histogram form)."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits
from torch import Tensor

from arena.config import require
from arena.detectors.detector import Examples, FittedDetector

TRUNCATION = 2
# Images taken at once, so that their planes fit a processor's cache.
BLOCK = 64
# Columns of a stored tree node.
FEATURE, THRESHOLD, LEFT, RIGHT, VALUE, LEAF = range(6)


def statistics(images: Tensor, levels: int) -> Tensor:
    """Statistics (B, F) of images (B, C, H, W), in grey levels of the data.

    Of the pixels: four moments, and the shares at either end of the range (McCloskey & Albright 2018). Of each
    residual: deviation, kurtosis, correlation with its neighbour, and the shares of its truncated values -2 to 2, as
    in the rich models. Averaged over the channels; with colour, the correlations between channels too.
    """
    return torch.cat([_statistics(block, levels) for block in images.split(BLOCK)])


def _statistics(images: Tensor, levels: int) -> Tensor:
    """``statistics`` of one block."""
    pixels = (images.double() + 1) * ((levels - 1) / 2)
    columns = [*_moments(pixels), _share(pixels <= 0), _share(pixels >= levels - 1)]
    for residual in residuals(pixels):
        _, deviation, _, kurtosis = _moments(residual)
        neighbours = (residual[..., 1:] * residual[..., :-1]).mean((2, 3)) / (deviation.square() + 1e-6)
        truncated = residual.round().clamp_(-TRUNCATION, TRUNCATION)
        shares = [_share(truncated == k) for k in range(-TRUNCATION, TRUNCATION + 1)]
        columns += [deviation, kurtosis, neighbours, *shares]
    features = torch.stack([column.mean(1) for column in columns], dim=1)
    if pixels.shape[1] == 3:
        centred = pixels - pixels.mean((2, 3), keepdim=True)
        red, green, blue = (centred / (centred.square().mean((2, 3), keepdim=True).sqrt() + 1e-3)).unbind(1)
        pairs = [(one * two).mean((1, 2)) for one, two in ((red, green), (red, blue), (green, blue))]
        features = torch.cat([features, torch.stack(pairs, 1)], dim=1)
    return features


def residuals(pixels: Tensor) -> list[Tensor]:
    """High-pass residuals (B, C, H-2, W-2) of the rich models (Fridrich & Kodovsky 2012) of pixels (B, C, H, W).

    First and second differences along either axis, and the square 3x3. Summed by slices: a convolution in double
    precision takes eight times as long.
    """
    centre = pixels[..., 1:-1, 1:-1]
    up, down, left, right = pixels[..., :-2, 1:-1], pixels[..., 2:, 1:-1], pixels[..., 1:-1, :-2], pixels[..., 1:-1, 2:]
    corners = pixels[..., :-2, :-2] + pixels[..., :-2, 2:] + pixels[..., 2:, :-2] + pixels[..., 2:, 2:]
    along, across = left + right, up + down
    second = [along - 2 * centre, across - 2 * centre]
    return [right - centre, down - centre, *second, 2 * (along + across) - corners - 4 * centre]


def _share(of: Tensor) -> Tensor:
    """Share (B, C) of the pixels for which a condition (B, C, H, W) holds."""
    return of.sum((2, 3)).double() / of[0, 0].numel()


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, deviation, skewness and kurtosis (B, C) over the pixels."""
    mean = x.mean((2, 3), keepdim=True)
    centred = x - mean
    square = centred.square()
    deviation = square.mean((2, 3)).sqrt()
    scale = deviation + 1e-3
    return (
        mean[..., 0, 0],
        deviation,
        (square * centred).mean((2, 3)) / scale.pow(3),
        square.square().mean((2, 3)) / scale.pow(4),
    )


class Forest(FittedDetector):
    """scikit-learn's histogram gradient boosting, stopped on validation, its trees kept and walked as tensors.

    So a saved forest is numbers, never a pickle, and scoring needs no scikit-learn. It has no gradient at all.

    Args:
        resolution, channels, levels: of the images it sees.
        trees: most trees.
        leaves: most leaves of a tree.
        learning_rate: shrinkage of each tree.
        patience: trees without gain on validation before it stops.
    """

    differentiable = False
    artefact = "checkerboard"
    nodes: Tensor
    baseline: Tensor

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        trees: int,
        leaves: int,
        learning_rate: float,
        patience: int,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(trees >= 1, "battery.members.forest.trees", trees, "at least 1")
        require(leaves >= 2, "battery.members.forest.leaves", leaves, "at least 2")
        require(learning_rate > 0, "battery.members.forest.learning_rate", learning_rate, "above 0")
        require(patience >= 1, "battery.members.forest.patience", patience, "at least 1")
        self.trees, self.leaves, self.learning_rate, self.patience = trees, leaves, learning_rate, patience
        nodes = torch.zeros(trees, 2 * leaves - 1, 6, dtype=torch.float64)
        nodes[..., LEAF] = 1  # an unused tree is one leaf of value 0
        self.register_buffer("nodes", nodes)
        self.register_buffer("baseline", torch.zeros((), dtype=torch.float64))

    def fit(self, images: Tensor, examples: Examples, validation: tuple[Tensor, Examples], seed: int) -> None:
        """Boost until ``patience`` trees bring nothing on the validation images."""
        forest = HistGradientBoostingClassifier(
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            learning_rate=self.learning_rate,
            early_stopping=True,  # type: ignore[arg-type]  # typed after its default
            n_iter_no_change=self.patience,
            random_state=seed % 2**32,
        )
        x, x_validation = (statistics(x, self.levels).cpu().numpy() for x in (images, validation[0]))
        # One thread: sums of gradients, and so the trees, then do not depend on the number of cores; and on so few
        # images threads wait for each other longer than they work.
        with threadpool_limits(1, user_api="openmp"):
            forest.fit(x, examples.labels.numpy(), X_val=x_validation, y_val=validation[1].labels.numpy())
        self.nodes.copy_(torch.from_numpy(_as_nodes(forest, *self.nodes.shape[:2])))
        # The prior of the training set is taken out again: a logit speaks of one real against one fake. (Class weights
        # would do the same, but scikit-learn then bins by weighted percentiles, which takes longer than the boosting.)
        prior = torch.logit(examples.labels.double().mean())
        self.baseline.fill_(float(forest._baseline_prediction.item()) - float(prior))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W): every image walks down every tree at once."""
        features = statistics(images, self.levels)
        batch, trees = len(features), torch.arange(len(self.nodes), device=features.device)
        at = torch.zeros(batch, len(self.nodes), dtype=torch.long, device=features.device)
        for _ in range(self.leaves):  # no tree of so many leaves is deeper
            node = self.nodes[trees, at]
            if bool((node[..., LEAF] == 1).all()):
                break
            value = features.gather(1, node[..., FEATURE].long())
            step = torch.where(value <= node[..., THRESHOLD], node[..., LEFT], node[..., RIGHT]).long()
            at = torch.where(node[..., LEAF] == 1, at, step)
        return (self.baseline + self.nodes[trees, at][..., VALUE].sum(1)).float()


def _as_nodes(forest: HistGradientBoostingClassifier, trees: int, width: int) -> NDArray[np.float64]:
    """The fitted trees as an array (trees, width, 6), padded with leaves of value 0."""
    nodes = np.zeros((trees, width, 6))
    nodes[..., LEAF] = 1
    for tree, (predictor,) in enumerate(forest._predictors):
        fields = ("feature_idx", "num_threshold", "left", "right", "value", "is_leaf")
        stored = np.stack([predictor.nodes[field].astype(np.float64) for field in fields], axis=1)
        nodes[tree, : len(stored)] = stored
    return nodes
