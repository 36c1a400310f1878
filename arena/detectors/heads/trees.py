"""Boosted trees (Friedman 2001, in histogram form), walked as tensors: no gradient at all."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits
from torch import Tensor

from arena.core.errors import require
from arena.detectors.heads.head import Head, Sample

# Columns of a stored tree node.
FEATURE, THRESHOLD, LEFT, RIGHT, VALUE, LEAF = range(6)


class Trees(Head):
    """scikit-learn's histogram gradient boosting, stopped on validation, its trees kept as numbers.

    So scoring needs no scikit-learn.

    Args:
        trees: most trees.
        leaves: most leaves of a tree.
        learning_rate: shrinkage of each tree.
        patience: trees without gain on validation before it stops.
    """

    nodes: Tensor
    baseline: Tensor

    def __init__(self, *, trees: int, leaves: int, learning_rate: float, patience: int) -> None:
        super().__init__()
        require(trees >= 1, "trees", trees, "at least 1")
        require(leaves >= 2, "leaves", leaves, "at least 2")
        require(learning_rate > 0, "learning_rate", learning_rate, "above 0")
        require(patience >= 1, "patience", patience, "at least 1")
        self.trees, self.leaves, self.learning_rate, self.patience = trees, leaves, learning_rate, patience
        nodes = torch.zeros(trees, 2 * leaves - 1, 6, dtype=torch.float64)
        nodes[..., LEAF] = 1  # an unused tree is one leaf of value 0
        self.register_buffer("nodes", nodes)
        self.register_buffer("baseline", torch.zeros((), dtype=torch.float64))

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Boost until ``patience`` trees bring nothing on the validation images."""
        forest = HistGradientBoostingClassifier(
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            learning_rate=self.learning_rate,
            early_stopping=True,  # type: ignore[arg-type]  # typed after its default
            n_iter_no_change=self.patience,
            random_state=seed % 2**32,
        )
        # One thread: sums of gradients, and so the trees, then do not depend on the number of cores; and on so few
        # images threads wait for each other longer than they work.
        with threadpool_limits(1, user_api="openmp"):
            forest.fit(
                train.features.numpy(),
                train.labels.numpy(),
                X_val=validation.features.numpy(),
                y_val=validation.labels.numpy(),
            )
        self.nodes.copy_(torch.from_numpy(_as_nodes(forest, *self.nodes.shape[:2])))
        # The prior of the training set is taken out again: a logit speaks of one real against one fake. (Class weights
        # would do the same, but scikit-learn then bins by weighted percentiles, which takes longer than the boosting.)
        prior = torch.logit(train.labels.double().mean())
        self.baseline.fill_(float(forest._baseline_prediction.item()) - float(prior))

    @torch.no_grad()
    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, F): every image walks down every tree at once."""
        return (self.baseline + descend(self.nodes, features).sum(1)).float()


def descend(nodes: Tensor, features: Tensor) -> Tensor:
    """Values (B, trees) of the leaves that features (B, F) come to in stored trees (trees, width, 6)."""
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


def _as_nodes(forest: HistGradientBoostingClassifier, trees: int, width: int) -> NDArray[np.float64]:
    """The fitted trees as an array (trees, width, 6), padded with leaves of value 0."""
    nodes = np.zeros((trees, width, 6))
    nodes[..., LEAF] = 1
    for tree, (predictor,) in enumerate(forest._predictors):
        fields = ("feature_idx", "num_threshold", "left", "right", "value", "is_leaf")
        stored = np.stack([predictor.nodes[field].astype(np.float64) for field in fields], axis=1)
        nodes[tree, : len(stored)] = stored
    return nodes
