"""Combine the scores of all techniques (stack), or of several images (bag)."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from arena.core.errors import require
from arena.records.schema import Scores


class Stack(nn.Module):
    """Logistic regression on the techniques' logits, fitted on images none of them was fitted on: out of fold.

    Data processing can only lose what tells the classes apart, so that the best combination is at least as strong as
    the strongest member; whether this one is, its test says.

    Args:
        members: number of techniques.
        penalty: inverse strength C of the L2 penalty on the weights of the standardised logits.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, *, members: int, penalty: float) -> None:
        super().__init__()
        require(penalty > 0, "battery.stack.penalty", penalty, "above 0")
        self.penalty = penalty
        self.register_buffer("weight", torch.zeros(members, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros((), dtype=torch.float64))

    def fit(self, logits: Tensor, labels: Tensor) -> None:
        """Fit on the logits (N, members), and labels (N,), of images that trained none of the members."""
        x = logits.double()
        mean, deviation = x.mean(0), x.std(0).clamp_min(1e-6)
        regression = LogisticRegression(C=self.penalty, class_weight="balanced")
        regression.fit(((x - mean) / deviation).numpy(), labels.numpy())
        self.weight.copy_(torch.from_numpy(np.ravel(regression.coef_)) / deviation)
        self.bias.fill_(float(np.ravel(regression.intercept_)[0]) - float(self.weight @ mean))

    def forward(self, logits: Tensor) -> Tensor:
        """Logits (N,) of the members' logits (N, members)."""
        return (logits.double() @ self.weight + self.bias).float()


@dataclass(frozen=True)
class Bag:
    """Who makes one fake makes many: of images known to be all real or all fake, the mean logit is judged.

    Independent logits of separation d' have d' sqrt(n) together, so that what hides one image at a time may be caught
    by the dozen. Another question than that of one image; a battery has a bag only where it asks for one.

    Args:
        n: images of a bag.

    Raises:
        ArenaError: for a bag of fewer than two.
    """

    n: int

    def __post_init__(self) -> None:
        require(self.n >= 2, "battery.bag.n", self.n, "at least 2 images")

    def __call__(self, scores: Scores) -> Scores:
        """Scores of bags, disjoint and each of one class and one fold; images that fill no bag are left out.

        A bag's id and source are those of its first image.
        """
        parts: list[Scores] = []
        for fold in np.unique(scores.fold):
            for label in (0, 1):
                part = scores.take((scores.fold == fold) & (scores.label == label))
                full = len(part.score) // self.n * self.n
                means = part.score[:full].reshape(-1, self.n).mean(1, dtype=np.float64).astype(np.float32)
                first = part.take(np.arange(len(part.score)) % self.n == 0)
                count = len(means)
                first = first.take(np.arange(len(first.score)) < count)
                parts.append(first._replace(score=means))
        return Scores(*(np.concatenate(column) for column in zip(*parts, strict=True)))
