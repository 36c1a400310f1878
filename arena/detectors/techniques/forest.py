"""Boosted trees on hand-made statistics."""

from typing import Annotated, Unpack

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits
from torch import Tensor

from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import Head, Sample
from arena.detectors.shared import shared

TRUNCATION = 2
SHARES = 2 * TRUNCATION + 1
AT_ONCE = 1 << 17
"""Pixels computed at once, so that they fit a processor's cache."""
# Columns of a stored tree node.
FEATURE, THRESHOLD, LEFT, RIGHT, VALUE, LEAF = range(6)
FIELDS = ("feature_idx", "num_threshold", "left", "right", "value", "is_leaf")
"""The same columns in scikit-learn's nodes."""


@shared
def statistics(images: Tensor, levels: int) -> Tensor:
    """Statistics (B, F) of images (B, C, H, W), in grey levels of the data.

    Of the pixels: four moments, and the shares at either end of the range. Of each residual: deviation, kurtosis,
    correlation with its neighbour, and the shares of its truncated values -2 to 2. All are averaged over the channels.
    Colour adds the correlations between channels.
    """
    return torch.cat([_statistics(block, levels) for block in images.split(max(1, AT_ONCE // images[0].numel()))])


def _statistics(images: Tensor, levels: int) -> Tensor:
    """``statistics`` of one block."""
    pixels = (images.float() + 1) * ((levels - 1) / 2)
    ends = [end.float().mean((2, 3)) for end in (pixels <= 0, pixels >= levels - 1)]
    columns = [*_moments(pixels), *ends]
    for residual in residuals(pixels):
        _, deviation, _, kurtosis = _moments(residual)
        neighbours = (residual[..., 1:] * residual[..., :-1]).mean((2, 3)) / (deviation.square() + 1e-6)
        columns += [deviation, kurtosis, neighbours, *_truncated(residual).unbind(2)]
    features = torch.stack([column.mean(1) for column in columns], dim=1).double()
    if pixels.shape[1] == 3:
        centred = pixels - pixels.mean((2, 3), keepdim=True)
        red, green, blue = (centred / (centred.square().mean((2, 3), keepdim=True).sqrt() + 1e-3)).unbind(1)
        pairs = [(one * two).mean((1, 2)) for one, two in ((red, green), (red, blue), (green, blue))]
        features = torch.cat([features, torch.stack(pairs, 1)], dim=1)
    return features


def residuals(pixels: Tensor) -> list[Tensor]:
    """High-pass residuals (B, C, H-2, W-2) of pixels (B, C, H, W): axial differences and the square 3x3 filter."""
    centre = pixels[..., 1:-1, 1:-1]
    up, down, left, right = pixels[..., :-2, 1:-1], pixels[..., 2:, 1:-1], pixels[..., 1:-1, :-2], pixels[..., 1:-1, 2:]
    corners = pixels[..., :-2, :-2] + pixels[..., :-2, 2:] + pixels[..., 2:, :-2] + pixels[..., 2:, 2:]
    along, across = left + right, up + down
    second = [along - 2 * centre, across - 2 * centre]
    return [right - centre, down - centre, *second, 2 * (along + across) - corners - 4 * centre]


def _truncated(residual: Tensor) -> Tensor:
    """Shares (B, C, 5) of the values of a residual (B, C, H, W), rounded and truncated to -2 to 2."""
    symbols = residual.round().clamp_(-TRUNCATION, TRUNCATION).add_(TRUNCATION).flatten(2)
    planes = torch.arange(symbols[..., 0].numel(), device=symbols.device).reshape(*symbols.shape[:2], 1)
    counts = torch.bincount((symbols.long() + SHARES * planes).flatten(), minlength=SHARES * planes.numel())
    return counts.reshape(*symbols.shape[:2], SHARES) / symbols.shape[2]


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


class Trees(Head):
    """Histogram gradient boosting (Friedman 2001) of scikit-learn, stopped on validation and evaluated as tensors.

    Args:
        trees: most trees, at least 1.
        leaves: most leaves of a tree, at least 2.
        learning_rate: shrinkage of each tree.
        patience: trees without gain on validation before it stops.
    """

    nodes: Tensor
    baseline: Tensor

    def __init__(self, *, trees: int, leaves: int, learning_rate: float, patience: int) -> None:
        super().__init__()
        self.trees, self.leaves, self.learning_rate, self.patience = trees, leaves, learning_rate, patience
        self.register_buffer("nodes", torch.zeros(trees, 2 * leaves - 1, 6, dtype=torch.float64))
        self.nodes[..., LEAF] = 1  # an unused tree is one leaf of value 0
        self.register_buffer("baseline", torch.zeros((), dtype=torch.float64))

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Boost until ``patience`` trees bring no gain on the validation images."""
        forest = HistGradientBoostingClassifier(
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            learning_rate=self.learning_rate,
            early_stopping=True,  # type: ignore[arg-type]  # typed after its default
            n_iter_no_change=self.patience,
            random_state=seed % 2**32,
        )
        # One thread: sums of gradients, and so the trees, then do not depend on the number of cores. On so few images
        # threads wait for each other longer than they work.
        with threadpool_limits(1, user_api="openmp"):
            forest.fit(
                train.features.numpy(),
                train.labels.numpy(),
                X_val=validation.features.numpy(),
                y_val=validation.labels.numpy(),
            )
        self.nodes.zero_()
        self.nodes[..., LEAF] = 1
        for node, (predictor,) in zip(self.nodes, forest._predictors, strict=False):
            stored = np.stack([predictor.nodes[field].astype(np.float64) for field in FIELDS], axis=1)
            node[: len(stored)] = torch.from_numpy(stored)
        # The prior of the training set is taken out again, so that a logit compares one real with one fake. (Class
        # weights would do the same, but scikit-learn then bins by weighted percentiles, which takes longer.)
        prior = torch.logit(train.labels.double().mean())
        self.baseline.fill_(float(forest._baseline_prediction.item()) - float(prior))

    @torch.no_grad()
    def logits(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, F)."""
        return (self.baseline + descend(self.nodes, features).sum(1)).float()


def descend(nodes: Tensor, features: Tensor) -> Tensor:
    """Values (B, trees) of the leaves that features (B, F) reach in stored trees (trees, width, 6)."""
    trees = torch.arange(len(nodes), device=features.device)
    at = torch.zeros(len(features), len(nodes), dtype=torch.long, device=features.device)
    for _ in range(nodes.shape[1]):  # no tree of so many nodes is deeper
        node = nodes[trees, at]
        if bool((node[..., LEAF] == 1).all()):
            break
        value = features.gather(1, node[..., FEATURE].long())
        step = torch.where(value <= node[..., THRESHOLD], node[..., LEFT], node[..., RIGHT]).long()
        at = torch.where(node[..., LEAF] == 1, at, step)
    return nodes[trees, at][..., VALUE]


Leaves = Annotated[int, Field(ge=2)]
"""Most leaves of a tree."""


class TreeKeywords(ImageShape):
    """Keywords of every ``BoostedDetector``, beside the technique's own. See ``Trees``."""

    trees: PositiveInt
    leaves: Leaves
    learning_rate: PositiveFloat
    patience: PositiveInt


class BoostedDetector(FittedDetector):
    """Boosted trees on the features of a technique. It has no gradient. Its arguments are those of ``TreeKeywords``."""

    differentiable = False

    def __init__(
        self,
        *,
        trees: PositiveInt,
        leaves: Leaves,
        learning_rate: PositiveFloat,
        patience: PositiveInt,
        **shape: Unpack[ImageShape],
    ) -> None:
        super().__init__(**shape)
        self.head = Trees(trees=trees, leaves=leaves, learning_rate=learning_rate, patience=patience)


class Forest(BoostedDetector):
    """Gradient boosting on hand-made statistics of pixels and residuals: a technique without any gradient.

    Paper: Exposure after McCloskey & Albright (2018), residuals after the rich models of Fridrich & Kodovsky (2012),
    trees after Friedman (2001).
    Differences: It is no published detector. It combines about fifty statistics of these papers.
    Blind spots: Patterns beyond the next neighbour, and the place of any trace, since all statistics are averages.
    Example: ``battery.add=[forest]``

    Args:
        trees, leaves, learning_rate, patience: of the boosting, see ``Trees``.
    """

    artefact = "noise_residual"

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Statistics (B, F) of images (B, C, H, W)."""
        return statistics(images, self.levels)
