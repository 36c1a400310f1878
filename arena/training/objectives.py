"""Score a detector's logits by an objective of the generator that attacks it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor


@dataclass(frozen=True)
class Objective(ABC):
    """Loss of a detector's logits. For no attack use ``access=none``.

    Args:
        weight: of each attacked technique, relative to the GAN's own loss.
    """

    weight: PositiveFloat

    @abstractmethod
    def __call__(self, fakes: Tensor, reals: Tensor) -> Tensor:
        """Return a scalar of one detector's logits: of fakes (B,), and of reals (M,) that it did not train on."""


class Fool(Objective):
    """Make detectors answer "real": mean softplus(logit), the cross-entropy of the wrong label.

    This is the classical attack. It does not stop at "as real as the reals": a frozen detector is driven far below
    AUC 1/2, and the next detector catches the exaggeration.

    >>> loss = Fool(weight=1.0)(fakes=torch.zeros(3), reals=torch.zeros(3))
    >>> round(loss.item(), 4)  # log 2
    0.6931
    """

    def __call__(self, fakes: Tensor, reals: Tensor) -> Tensor:
        """Return the mean over the fakes. The reals do not matter."""
        return self.weight * F.softplus(fakes).mean()


class Match(Objective):
    """Match the mean and the deviation of the fakes' logits to the reals', in units of the reals' deviation.

    The aim is AUC 1/2, not 0. The loss is the squared distance of the means plus that of the deviations. Both are
    robust beyond one deviation (Huber 1964), so that a detector with widely separated logits does not dominate.
    """

    def __call__(self, fakes: Tensor, reals: Tensor) -> Tensor:
        """Return the sum of the two distances."""
        scale = reals.std().clamp_min(1e-3)
        mean, deviation = (fakes.mean() - reals.mean()) / scale, fakes.std() / scale
        distance = F.smooth_l1_loss(mean, torch.zeros_like(mean))
        spread = F.smooth_l1_loss(deviation, torch.ones_like(deviation))
        return self.weight * (distance + spread)


class Relative(Objective):
    """Make a fake look less fake than a real: mean softplus(fake - real) over all pairs, as a relativistic GAN does.

    Where a fake's logit stands among the reals' matters, not its sign (Jolicoeur-Martineau 2019).

    >>> loss = Relative(weight=1.0)(fakes=torch.zeros(3), reals=torch.zeros(2))
    >>> round(loss.item(), 4)  # log 2
    0.6931
    """

    def __call__(self, fakes: Tensor, reals: Tensor) -> Tensor:
        """Return the mean over all pairs of a fake and a real."""
        return self.weight * F.softplus(fakes[:, None] - reals[None]).mean()
