"""Scale the pull of opponents."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from arena.training.opponents.opponents import Opponents, Pull


class ScaledOpponents(Opponents):
    """Opponents whose pull is a multiple of that of others.

    Args:
        opponents: the others. Live ones learn as they would unscaled.
        factor: of the pull, above 0. For 0 use no opponents at all.
    """

    def __init__(self, opponents: Opponents, factor: float) -> None:
        self.opponents, self.factor = opponents, factor
        self.opponents.meter = self.meter

    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        """Return the loss of the others as it is, and their gradient scaled."""
        loss, gradient = self.opponents.pull(fakes, own, rng)
        return Pull(loss, self.factor * gradient)

    def figures(self) -> dict[str, Tensor]:
        """Return the scalars of the others."""
        return self.opponents.figures()

    def state(self) -> dict[str, Any]:
        """Return the state of the others."""
        return self.opponents.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Return the others to a saved state."""
        self.opponents.restore(state)
