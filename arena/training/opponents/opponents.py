"""Define opponents: detectors that pull a generator's fakes in its response, beside its own discriminator."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor


class Pull(NamedTuple):
    """Loss of the opponents at the fakes of one step, for the log, and what they add to the fakes' gradient.

    Args:
        loss: scalar, detached.
        gradient: (B, C, H, W), detached.
    """

    loss: Tensor
    gradient: Tensor


class Opponents(ABC):
    """Detectors that a generator attacks in its response."""

    @abstractmethod
    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        """Return the pull at the fakes of a step. Live opponents first learn from them.

        Args:
            fakes: (B, C, H, W) from the evidence path, detached.
            own: (B, C, H, W), gradient of the GAN's own loss at the fakes.
            rng: stream of the step.
        """
