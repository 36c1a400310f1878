"""Scale the pull of opponents, or let several kinds of them pull together."""

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
        self.meter = opponents.meter

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


class Together(Opponents):
    """Opponents that all pull, each with its own strength.

    Args:
        parts: by name.
    """

    def __init__(self, parts: Mapping[str, Opponents]) -> None:
        self.parts = dict(parts)
        for part in self.parts.values():
            part.meter = self.meter

    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        """Return the sum of their losses and of their pulls."""
        losses, gradients = zip(*[part.pull(fakes, own, rng) for part in self.parts.values()], strict=True)
        return Pull(torch.stack(losses).sum(), torch.stack(gradients).sum(0))

    def figures(self) -> dict[str, Tensor]:
        """Return the figures of all parts."""
        return {name: value for part in self.parts.values() for name, value in part.figures().items()}

    def state(self) -> dict[str, Any]:
        """Return the states of all parts, by name."""
        return {name: part.state() for name, part in self.parts.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Return to a saved state."""
        for name, part in self.parts.items():
            part.restore(state[name])
