"""Let the generator attack detectors: access, objective, pool, and the loss they add."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.core.errors import require
from arena.core.seeding import derive_seed
from arena.detectors.base import Detector


@dataclass(frozen=True)
class Access:
    """Who sees whose gradients, and whose reals trained the detectors that give them.

    ``white_box`` gives the gradient of every differentiable technique. ``none`` gives nothing: the same budget of
    images without any detector, since a GAN that trains longer gets better anyway. ``placebo`` gives gradients of the
    same nets, trained on generator-train alone: what they carry of other reals is not there (rule of evidence 6).

    Args:
        name: of the condition.
        gradients: whether detectors' gradients are given at all.
        reals: the part of the reals the detectors in the loop learn from, ``detector`` or ``generator``.
        held_out: techniques that stay in the battery and are never told.
        control: whether runs with this access are controls of runs that differ in nothing else.
    """

    name: str
    gradients: bool
    reals: Literal["detector", "generator"]
    held_out: list[str] = field(default_factory=list)
    control: bool = False

    def __post_init__(self) -> None:
        require(self.reals in ("detector", "generator"), "access.reals", self.reals, "detector or generator")

    def attacks(self, technique: str, differentiable: bool) -> bool:
        """Whether the generator is told of this technique."""
        return self.gradients and differentiable and technique not in self.held_out


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


class Member(NamedTuple):
    """A detector of the past: its technique, and the round it was retrained in."""

    technique: str
    round: int


@dataclass(frozen=True)
class Pool:
    """``all`` past detectors or those of the ``last`` round; ``sample`` of them each step, so that cost stays flat.

    Args:
        memory: ``all`` or ``last``.
        sample: detectors a step.
    """

    memory: Literal["all", "last"]
    sample: int

    def __post_init__(self) -> None:
        require(self.memory in ("all", "last"), "pool.memory", self.memory, "all or last")
        require(self.sample >= 1, "pool.sample", self.sample, "at least 1 detector a step")

    def members(self, techniques: list[str], round_index: int) -> list[Member]:
        """The detectors a response to ``round`` may know, of the techniques told."""
        rounds = range(round_index + 1) if self.memory == "all" else [round_index]
        return [Member(technique, r) for r in rounds for technique in techniques]

    def draw(self, members: list[Member], rng: torch.Generator) -> list[Member]:
        """``sample`` distinct members, or all where they are fewer."""
        order = torch.randperm(len(members), generator=rng, device=rng.device)
        return [members[i] for i in order[: self.sample].tolist()]


class PoolLoss(nn.Module):
    """White-box pressure: each step a few detectors of the pool, frozen in eval mode, judge the fakes.

    Gradients go through them to the images; their parameters get none and their buffers do not change.

    Args:
        detectors: the pool, by technique and round.
        real_logits: (M,) of each of them, on reals it did not train on.
        pool: how it is sampled.
        objective: what is made of the logits.
    """

    def __init__(
        self, detectors: dict[Member, Detector], real_logits: dict[Member, Tensor], pool: Pool, objective: Objective
    ) -> None:
        super().__init__()
        self.real_logits = real_logits
        self.detectors, self.pool, self.objective = detectors, pool, objective
        for detector in detectors.values():
            detector.eval().requires_grad_(False)

    def forward(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """The loss of fakes (B, C, H, W) that came down the evidence path; ``rng`` is the step's own."""
        # From a stream of the processor, so that nobody waits for an accelerator to say who is next.
        order = torch.Generator().manual_seed(derive_seed(rng.initial_seed(), "pool"))
        drawn = self.pool.draw(list(self.detectors), order)
        on_fakes = torch.stack([self.detectors[member](fakes).float() for member in drawn])
        return self.objective(on_fakes, torch.stack([self.real_logits[member] for member in drawn]))
