"""Let the generator attack detectors: access to their gradients, objective, pool, and the resulting loss."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.core.seeding import derive_seed
from arena.detectors.base import Detector

Share = Annotated[float, Field(gt=0, le=1)]
"""Share of a whole, above 0."""


@dataclass(frozen=True)
class Access:
    """Knowledge that the generator has of the detectors.

    - ``white_box``: gradients of every differentiable technique.
    - ``none``: no gradients, with the same budget of images, since a GAN improves with longer training anyway.
    - ``other_reals``: gradients of the same networks, trained with generator-train as their only reals. It tests whose
      reals the detectors in the loop learned from (rule of evidence 6). They still learned to tell fakes from reals.
    - ``equal_norm``: gradients of the same networks, trained on shuffled labels and scaled to the norm of the true
      ones. They carry no information on real against fake (``arena.training.equal_norm``).

    Args:
        name: of the condition.
        gradients: whether the generator's loss has a term of detectors.
        reals: the part of the reals that the detectors in the loop learn from.
        labels: whether the detectors of these gradients learned true or shuffled labels.
        held_out: techniques of the battery that are never attacked.
        control: whether runs with this access are controls of runs that differ in nothing else.
    """

    name: str
    gradients: bool
    reals: Literal["detector", "generator"]
    labels: Literal["true", "shuffled"] = "true"
    held_out: list[str] = field(default_factory=list)
    control: bool = False

    def attacks(self, technique: str, differentiable: bool) -> bool:
        """Return whether the generator has gradients of this technique, or of its shuffled-label counterpart.

        >>> access = Access("white_box", gradients=True, reals="detector", held_out=["cnn"])
        >>> access.attacks("dct", differentiable=True), access.attacks("cnn", differentiable=True)
        (True, False)
        """
        return self.gradients and differentiable and technique not in self.held_out


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


class Member(NamedTuple):
    """A past detector: its technique and the round it was retrained in."""

    technique: str
    round: int


@dataclass(frozen=True)
class Pool:
    """The past detectors that a response attacks, and the weight of each in a step.

    A step draws m = min(``sample``, K) of the K attacked techniques, all equally likely. Each has the weight K / m, of
    which its newest detector has the share ``newest`` in every step. The rest of all m goes to a single older detector,
    K (1 - ``newest``), which is drawn anew in every step: its technique among the m, then its round, all equally
    likely. Without older ones the newest has all. A step thus costs at most ``sample`` + 1 detectors.

    The weights of a step sum to K. In expectation each technique has weight 1, its newest detector ``newest``, and each
    of its n older ones (1 - ``newest``) / n. The first two depend neither on the round nor on ``sample``.

    Args:
        memory: ``all`` past detectors, or those of the ``last`` round.
        sample: techniques drawn at each step.
        newest: share of the newest detector in the weight of its technique.
    """

    memory: Literal["all", "last"]
    sample: PositiveInt
    newest: Share = 0.5

    def members(self, techniques: list[str], round_index: int) -> list[Member]:
        """Return the detectors of these techniques that the response to a round attacks.

        >>> Pool("all", sample=1).members(["cnn"], round_index=1)
        [Member(technique='cnn', round=0), Member(technique='cnn', round=1)]
        """
        rounds = range(round_index + 1) if self.memory == "all" else [round_index]
        return [Member(technique, r) for r in rounds for technique in techniques]

    def draw(self, members: list[Member], rng: torch.Generator) -> dict[Member, float]:
        """Draw the detectors of a step. ``rng`` is a CPU stream.

        Returns:
            Detector -> its weight. The weights sum to the number of techniques.
        """
        rounds: dict[str, list[int]] = {}
        for member in members:
            rounds.setdefault(member.technique, []).append(member.round)
        techniques = list(rounds)
        order = torch.randperm(len(techniques), generator=rng)[: self.sample].tolist()
        drawn, whole = [techniques[k] for k in sorted(order)], len(techniques) / max(len(order), 1)
        with_older = [technique for technique in drawn if len(rounds[technique]) > 1 and self.newest < 1]
        weights = {
            Member(technique, max(rounds[technique])): whole * (self.newest if technique in with_older else 1.0)
            for technique in drawn
        }
        if with_older:
            technique = with_older[int(torch.randint(len(with_older), (), generator=rng))]
            older = sorted(rounds[technique])[:-1]
            past = older[int(torch.randint(len(older), (), generator=rng))]
            weights[Member(technique, past)] = whole * len(with_older) * (1 - self.newest)
        return weights


class PoolLoss(nn.Module):
    """Weighted sum of the objective over a few detectors of the pool at each step, frozen and in eval mode.

    Gradients pass through the detectors to the images. Parameters get no gradient, and buffers do not change.

    Args:
        detectors: the pool, by technique and round.
        real_logits: (M,) logits of each detector, of reals it did not train on.
        pool: how the pool is sampled and weighted.
        objective: loss of one detector's logits.
    """

    def __init__(
        self,
        detectors: Mapping[Member, Detector],
        real_logits: Mapping[Member, Tensor],
        pool: Pool,
        objective: Objective,
    ) -> None:
        super().__init__()
        self.detectors, self.real_logits, self.pool, self.objective = detectors, real_logits, pool, objective
        for detector in detectors.values():
            detector.eval().requires_grad_(False)

    def forward(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """Return the loss of fakes (B, C, H, W) from the evidence path. ``rng`` is the stream of the step."""
        terms = [weight * self.of_member(member, fakes) for member, weight in self.drawn(rng).items()]
        return torch.stack(terms).sum()

    def drawn(self, rng: torch.Generator) -> dict[Member, float]:
        """Return the detectors of the step whose stream is ``rng``, and their weights."""
        # A CPU stream chooses the members, so that the step does not wait for an accelerator.
        order = torch.Generator().manual_seed(derive_seed(rng.initial_seed(), "pool"))
        return self.pool.draw(list(self.detectors), order)

    def of_member(self, member: Member, fakes: Tensor) -> Tensor:
        """Return the objective of one detector's logits of fakes (B, C, H, W)."""
        return self.objective(self.detectors[member](fakes).float(), self.real_logits[member])
