"""Objective: what the generator minimises of what it is told."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from arena.config import require


@dataclass(frozen=True)
class Fool:
    """Make the detectors say "real": weight * mean softplus(logit), the cross-entropy of the wrong label.

    Args:
        weight: against the GAN's own loss. Detectors' logits are calibrated, so that 1 puts a detector level with the
            discriminator.
    """

    weight: float

    def __post_init__(self) -> None:
        require(self.weight > 0, "objective.weight", self.weight, "above 0 (access=none gives no gradients)")

    def __call__(self, logits: Tensor) -> Tensor:
        """The loss (a scalar) of logits (any shape), higher meaning more fake."""
        return self.weight * F.softplus(logits).mean()
