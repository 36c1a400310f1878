"""Objective: what the generator makes of the logits of K detectors on fakes (K, B) and on reals (K, M)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from arena.config import require


@dataclass(frozen=True)
class Objective(ABC):
    """A loss of the detectors' logits.

    Args:
        weight: against the GAN's own loss.
    """

    weight: float

    def __post_init__(self) -> None:
        require(self.weight > 0, "objective.weight", self.weight, "above 0 (access=none gives no gradients)")

    @abstractmethod
    def __call__(self, fakes: Tensor, reals: Tensor) -> Tensor:
        """A scalar of the logits of fakes (K, B) and of reals (K, M) the detectors did not train on."""


class Fool(Objective):
    """Make the detectors say "real": mean softplus(logit), the cross-entropy of the wrong label.

    The classical attack. Nothing ends it at "as real as the reals": a frozen detector is driven far below AUC 1/2, and
    the next one catches what it overdid.
    """

    def __call__(self, fakes: Tensor, reals: Tensor) -> Tensor:
        """The reals' logits do not matter to it."""
        return self.weight * F.softplus(fakes).mean()


class Match(Objective):
    """Make the detectors' logits on fakes what they are on reals: mean and deviation, in units of the reals' deviation.

    The aim is AUC 1/2, not 0: squared distance of the means plus squared distance of the deviations, each robust beyond
    one deviation (Huber 1964), so that a detector that sees the fakes from afar does not shout the others down.
    """

    def __call__(self, fakes: Tensor, reals: Tensor) -> Tensor:
        """Averaged over the detectors."""
        scale = reals.std(1).clamp_min(1e-3)
        means = (fakes.mean(1) - reals.mean(1)) / scale
        deviations = fakes.std(1) / scale
        distance = F.smooth_l1_loss(means, means.new_zeros(means.shape), reduction="none")
        spread = F.smooth_l1_loss(deviations, deviations.new_ones(deviations.shape), reduction="none")
        return self.weight * (distance + spread).mean()
