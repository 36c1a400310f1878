"""Boosted trees as the head of a detector."""

from typing import Annotated, Unpack

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits
from torch import Tensor

from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import Head, Sample

# Columns of a stored tree node.
FEATURE, THRESHOLD, LEFT, RIGHT, VALUE, LEAF = range(6)
IN_CACHE = 512
"""Images that descend the trees at a time."""
FIELDS = ("feature_idx", "num_threshold", "left", "right", "value", "is_leaf")
"""The same columns in scikit-learn's nodes."""


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
    """Values (B, trees) of the leaves that features (B, F) reach in stored trees (trees, width, 6).

    All trees take one step down at once, in tables of all nodes. A leaf leads to itself.
    """
    flat, places = nodes.flatten(0, 1), torch.arange(nodes.shape[0] * nodes.shape[1], device=nodes.device)
    roots, first_of_tree = places[:: nodes.shape[1]], places - places % nodes.shape[1]
    children = flat[:, [LEFT, RIGHT]].long() + first_of_tree[:, None]
    children = torch.where(flat[:, LEAF, None] == 1, places[:, None], children).flatten()
    column, threshold, value = flat[:, FEATURE].long(), flat[:, THRESHOLD].contiguous(), flat[:, VALUE].contiguous()
    reached = list[Tensor]()
    for part in features.split(IN_CACHE):
        at, after = places[:0], roots.repeat(len(part))
        while not torch.equal(at, after):
            at = after
            seen = part.gather(1, column.index_select(0, at).view(len(part), len(nodes))).flatten()
            right = ~(seen <= threshold.index_select(0, at))
            after = children.index_select(0, 2 * at + right)
        reached.append(value.index_select(0, at).view(len(part), len(nodes)))
    return torch.cat(reached)


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
