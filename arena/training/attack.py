"""Let the generator attack detectors: access to their gradients, objective, pool, and the resulting loss."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.core.seeding import derive_seed
from arena.detectors.base import Detector


@dataclass(frozen=True)
class Access:
    """Knowledge that the generator has of the detectors.

    - ``white_box``: gradients of every differentiable technique.
    - ``none``: no gradients, with the same budget of images, since a GAN improves with longer training anyway.
    - ``placebo``: gradients of the same networks, trained on generator-train alone. They carry no information about
      other reals (rule of evidence 6).

    Args:
        name: of the condition.
        gradients: whether the generator has gradients of detectors.
        reals: the part of the reals that the detectors in the loop learn from.
        held_out: techniques of the battery that are never attacked.
        control: whether runs with this access are controls of runs that differ in nothing else.
    """

    name: str
    gradients: bool
    reals: Literal["detector", "generator"]
    held_out: list[str] = field(default_factory=list)
    control: bool = False

    def attacks(self, technique: str, differentiable: bool) -> bool:
        """Return whether the generator has gradients of this technique.

        >>> access = Access("white_box", gradients=True, reals="detector", held_out=["cnn"])
        >>> access.attacks("dct", differentiable=True), access.attacks("cnn", differentiable=True)
        (True, False)
        """
        return self.gradients and differentiable and technique not in self.held_out


@dataclass(frozen=True)
class Objective(ABC):
    """Loss of the detectors' logits, with its weight relative to the GAN's own. For no attack use ``access=none``."""

    weight: PositiveFloat

    @abstractmethod
    def __call__(self, fakes: Tensor, reals: Tensor) -> Tensor:
        """Return a scalar of logits of K detectors: of fakes (K, B), and of reals (K, M) they did not train on."""


class Fool(Objective):
    """Make detectors answer "real": mean softplus(logit), the cross-entropy of the wrong label.

    This is the classical attack. It does not stop at "as real as the reals": a frozen detector is driven far below
    AUC 1/2, and the next detector catches the exaggeration.

    >>> loss = Fool(weight=1.0)(fakes=torch.zeros(1, 3), reals=torch.zeros(1, 3))
    >>> round(loss.item(), 4)  # log 2
    0.6931
    """

    def __call__(self, fakes: Tensor, reals: Tensor) -> Tensor:
        """Return the mean over all logits of fakes. The reals do not matter."""
        return self.weight * F.softplus(fakes).mean()


class Match(Objective):
    """Match the mean and the deviation of the fakes' logits to the reals', in units of the reals' deviation.

    The aim is AUC 1/2, not 0. The loss is the squared distance of the means plus that of the deviations. Both are
    robust beyond one deviation (Huber 1964), so that a detector with widely separated logits does not dominate.
    """

    def __call__(self, fakes: Tensor, reals: Tensor) -> Tensor:
        """Return the mean over the detectors."""
        scale = reals.std(1).clamp_min(1e-3)
        means = (fakes.mean(1) - reals.mean(1)) / scale
        deviations = fakes.std(1) / scale
        distance = F.smooth_l1_loss(means, means.new_zeros(means.shape), reduction="none")
        spread = F.smooth_l1_loss(deviations, deviations.new_ones(deviations.shape), reduction="none")
        return self.weight * (distance + spread).mean()


class Member(NamedTuple):
    """A past detector: its technique and the round it was retrained in."""

    technique: str
    round: int


@dataclass(frozen=True)
class Pool:
    """The past detectors that a response attacks. Sampling keeps the cost of a step constant.

    Args:
        memory: ``all`` past detectors, or those of the ``last`` round.
        sample: detectors drawn at each step.
    """

    memory: Literal["all", "last"]
    sample: PositiveInt

    def members(self, techniques: list[str], round_index: int) -> list[Member]:
        """Return the detectors of these techniques that the response to a round attacks.

        >>> Pool("all", sample=1).members(["cnn"], round_index=1)
        [Member(technique='cnn', round=0), Member(technique='cnn', round=1)]
        """
        rounds = range(round_index + 1) if self.memory == "all" else [round_index]
        return [Member(technique, r) for r in rounds for technique in techniques]

    def draw(self, members: list[Member], rng: torch.Generator) -> list[Member]:
        """Draw ``sample`` distinct members, or all if there are fewer."""
        order = torch.randperm(len(members), generator=rng, device=rng.device)
        return [members[i] for i in order[: self.sample].tolist()]


class PoolLoss(nn.Module):
    """Loss of fakes under a few detectors of the pool at each step, frozen and in eval mode.

    Gradients pass through the detectors to the images. Parameters get no gradient, and buffers do not change.

    Args:
        detectors: the pool, by technique and round.
        real_logits: (M,) logits of each detector, of reals it did not train on.
        pool: how the pool is sampled.
        objective: loss of the logits.
    """

    def __init__(
        self, detectors: dict[Member, Detector], real_logits: dict[Member, Tensor], pool: Pool, objective: Objective
    ) -> None:
        super().__init__()
        self.detectors, self.real_logits, self.pool, self.objective = detectors, real_logits, pool, objective
        for detector in detectors.values():
            detector.eval().requires_grad_(False)

    def forward(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """Return the loss of fakes (B, C, H, W) from the evidence path. ``rng`` is the stream of the step."""
        # A CPU stream chooses the members, so that the step does not wait for an accelerator.
        order = torch.Generator().manual_seed(derive_seed(rng.initial_seed(), "pool"))
        drawn = self.pool.draw(list(self.detectors), order)
        on_fakes = torch.stack([self.detectors[member](fakes).float() for member in drawn])
        return self.objective(on_fakes, torch.stack([self.real_logits[member] for member in drawn]))
