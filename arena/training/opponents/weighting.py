"""Weigh the techniques that pull a generator in its response."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, PositiveFloat
from torch import Tensor

Slack = Annotated[float, Field(gt=1)]
"""Factor above 1."""
FLOOR = 0.05
"""Least weight of a technique under ``Hedge``, as a share of an equal weight."""


class Weighting(ABC):
    """Weights of detectors that are attacked together, from the AUC of each. Only their ratios matter.

    The published rules take the generator's loss under each discriminator. Losses of different techniques have no
    common scale, and so the AUC stands for them here.
    """

    @abstractmethod
    def __call__(self, aucs: Tensor, gains: Tensor) -> Tensor:
        """Return a positive weight (K,) of each detector.

        Args:
            aucs: (K,) smoothed AUC of each detector.
            gains: (K,) sum of the AUC above 1/2 over all measurements so far, of each detector's technique.
        """


class Uniform(Weighting):
    """Equal weights."""

    def __call__(self, aucs: Tensor, gains: Tensor) -> Tensor:
        """Return ones."""
        return aucs.new_ones(len(aucs))


@dataclass(frozen=True)
class Softmax(Weighting):
    """Weights that grow exponentially with the AUC, as in GMAN (Durugkar, Gemp & Mahadevan 2017).

    Args:
        sharpness: of the softmax. At 0 weights are equal, and at infinity the strongest detector has all of it.
    """

    sharpness: PositiveFloat

    def __call__(self, aucs: Tensor, gains: Tensor) -> Tensor:
        """Return the softmax of the AUCs."""
        return (self.sharpness * aucs).softmax(0)


@dataclass(frozen=True)
class Hypervolume(Weighting):
    """Weights of hypervolume maximisation (Albuquerque et al. 2019): the inverse distance to a bound above all AUCs.

    Args:
        slack: the bound in units of the largest AUC.
    """

    slack: Slack

    def __call__(self, aucs: Tensor, gains: Tensor) -> Tensor:
        """Return 1 / (bound - AUC)."""
        return 1 / (self.slack * aucs.max() - aucs)


@dataclass(frozen=True)
class Hedge(Weighting):
    """Multiplicative weights (Freund & Schapire 1997): detectors that were strong so far weigh more.

    Args:
        rate: of learning, for each measurement of the AUC.
    """

    rate: PositiveFloat

    def __call__(self, aucs: Tensor, gains: Tensor) -> Tensor:
        """Return the exponential of the gains, with a floor under each weight."""
        weights = (self.rate * gains).softmax(0)
        return weights.clamp_min(FLOOR / len(gains))
