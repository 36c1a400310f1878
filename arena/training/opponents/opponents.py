"""Define opponents: detectors that pull a generator's fakes in its response, beside its own discriminator."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from arena.training.meter import Meter


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

    @cached_property
    def meter(self) -> Meter:
        """Counts of the response, shared with the GAN that is trained against these opponents.

        Opponents add their updates, queries and multiply-accumulates. ``meter.spent`` is what the response has spent so
        far. A resumed response continues from it, and a roll-back gives nothing back.
        """
        return Meter()

    @abstractmethod
    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        """Return the pull at the fakes of a step. Live opponents first learn from them.

        Args:
            fakes: (B, C, H, W) from the evidence path, detached.
            own: (B, C, H, W), gradient of the GAN's own loss at the fakes.
            rng: stream of the step.
        """

    def figures(self) -> dict[str, Tensor]:
        """Return scalars for the log, by name."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return all that a resumed response needs, as tensors and plain values. Frozen opponents have no state."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Return to a saved state."""
        if state:
            raise ValueError(f"{type(self).__name__} has no state to restore")
