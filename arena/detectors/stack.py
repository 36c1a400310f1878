"""Combine the scores of all techniques (stack), or of several images (bag)."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, PositiveFloat
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from arena.records.schema import Scores


class Stack(nn.Module):
    """Logistic regression on the techniques' logits, fitted on the images on which networks stop.

    Some techniques choose a threshold or a width on these images too, and their weights may be too large. None of the
    images tests the stack.

    Processing cannot add information, so the best combination is at least as strong as the strongest member. Whether
    this one is, its evaluation shows.

    Args:
        members: number of techniques.
        penalty: inverse strength C of the L2 penalty on the weights of the standardised logits.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, *, members: int, penalty: PositiveFloat) -> None:
        super().__init__()
        self.penalty = penalty
        self.register_buffer("weight", torch.zeros(members, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros((), dtype=torch.float64))

    def fit(self, logits: Tensor, labels: Tensor) -> None:
        """Fit on logits (N, members) and labels (N,) of images that trained none of the members."""
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
    """Mean logit of several images that are known to be all real or all fake, such as those of one account.

    The mean of n independent logits of separation d' has a separation of sqrt(n) d'. A generator that evades detection
    image by image may be caught by the dozen. This is another question than that of one image, and a battery has a bag
    only where its config names one.

    Args:
        n: images of a bag, at least 2.
    """

    n: Annotated[int, Field(ge=2)]

    def __call__(self, scores: Scores) -> Scores:
        """Scores of disjoint bags, each of one class and one fold. Images that fill no bag are left out.

        A bag has the id and the source of its first image.
        """
        parts: list[Scores] = []
        for fold in np.unique(scores.fold):
            for label in (0, 1):
                part = scores.take((scores.fold == fold) & (scores.label == label))
                count, place = len(part.score) // self.n, np.arange(len(part.score))
                means = part.score[: count * self.n].reshape(-1, self.n).mean(1, dtype=np.float64).astype(np.float32)
                first = part.take((place % self.n == 0) & (place < count * self.n))
                parts.append(first._replace(score=means))
        return Scores(*(np.concatenate(column) for column in zip(*parts, strict=True)))
