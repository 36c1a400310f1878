"""The stack: one judgement from the scores of all techniques (Wolpert 1992)."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from arena.config import require


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
