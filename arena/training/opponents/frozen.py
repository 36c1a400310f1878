"""Attack frozen detectors of past rounds: the pool, its draw at each step, and their pull."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from arena.core.seeding import derive_seed
from arena.detectors.base import Detector
from arena.training.objectives import Objective
from arena.training.opponents.opponents import Opponents, Pull

LOOK = 50
"""Steps between two counts of zero gradients. Each costs one more pull."""

Share = Annotated[float, Field(gt=0, le=1)]
"""Share of a whole, above 0."""


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

    A ``mixture`` draws one detector of each drawn technique, by its probability in the equilibrium of the game so far
    (policy-space response oracles, Lanctot et al. 2017).

    Args:
        memory: ``all`` past detectors, those of the ``last`` round, or a ``mixture`` of all.
        sample: techniques drawn at each step.
        newest: share of the newest detector in the weight of its technique. A mixture has none.
    """

    memory: Literal["all", "last", "mixture"]
    sample: PositiveInt
    newest: Share = 0.5

    def members(self, techniques: list[str], round_index: int) -> list[Member]:
        """Return the detectors of these techniques that the response to a round attacks.

        >>> Pool("all", sample=1).members(["cnn"], round_index=1)
        [Member(technique='cnn', round=0), Member(technique='cnn', round=1)]
        """
        rounds = [round_index] if self.memory == "last" else range(round_index + 1)
        return [Member(technique, r) for r in rounds for technique in techniques]

    def draw(
        self, members: list[Member], rng: torch.Generator, probabilities: Mapping[Member, float] | None = None
    ) -> dict[Member, float]:
        """Draw the detectors of a step.

        Args:
            members: of the pool.
            rng: a CPU stream.
            probabilities: of each detector among those of its technique, for a mixture.

        Returns:
            Detector -> its weight. The weights sum to the number of techniques.
        """
        rounds: dict[str, list[int]] = {}
        for member in members:
            rounds.setdefault(member.technique, []).append(member.round)
        techniques = list(rounds)
        order = torch.randperm(len(techniques), generator=rng)[: self.sample].tolist()
        drawn, whole = [techniques[k] for k in sorted(order)], len(techniques) / max(len(order), 1)
        if probabilities is not None:
            mixed = [[Member(technique, r) for r in rounds[technique]] for technique in drawn]
            chances = [torch.tensor([probabilities[member] for member in of_technique]) for of_technique in mixed]
            picked = [int(torch.multinomial(chance, 1, generator=rng)) for chance in chances]
            return {of_technique[k]: whole for of_technique, k in zip(mixed, picked, strict=True)}
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


class FrozenOpponents(Opponents):
    """Detectors of past rounds, frozen and in eval mode. Their parameters get no gradient, and their buffers stay.

    The loss of a step is the weighted sum of the objective over the detectors that the pool draws.

    Args:
        detectors: the pool, by technique and round.
        real_logits: (M,) logits of each detector, of reals it did not train on.
        pool: how the pool is sampled and weighted.
        objective: loss of one detector's logits.
        probabilities: of each detector among those of its technique, for a mixture.
    """

    def __init__(
        self,
        detectors: Mapping[Member, Detector],
        real_logits: Mapping[Member, Tensor],
        pool: Pool,
        objective: Objective,
        probabilities: Mapping[Member, float] | None = None,
    ) -> None:
        self.probabilities = probabilities
        self.detectors, self.real_logits, self.pool, self.objective = detectors, real_logits, pool, objective
        for detector in detectors.values():
            detector.eval().requires_grad_(False)

    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        """Return the loss of the drawn detectors at the fakes, and its gradient."""
        self._count(fakes, rng)
        images = fakes.detach().requires_grad_()
        loss = torch.stack(
            [weight * self.of_member(member, images) for member, weight in self.drawn(rng).items()]
        ).sum()
        (gradient,) = torch.autograd.grad(loss, images)
        return Pull(loss.detach(), gradient)

    def _count(self, fakes: Tensor, rng: torch.Generator) -> None:
        """Count what the drawn detectors cost, and now and then their zero gradients."""
        looks = self.meter.spent.generator_updates % LOOK == 0
        for member in self.drawn(rng):
            self.meter.price(f"{member.technique} pulls", partial(self._gradient, member, fakes))
            if looks:
                self.meter.gradient(member.technique, self._gradient(member, fakes))

    def _gradient(self, member: Member, fakes: Tensor) -> Tensor:
        """Gradient of the objective of one detector alone."""
        images = fakes.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.of_member(member, images), images)
        return gradient

    def drawn(self, rng: torch.Generator) -> dict[Member, float]:
        """Return the detectors of the step whose stream is ``rng``, and their weights."""
        # A CPU stream chooses the members, so that the step does not wait for an accelerator.
        order = torch.Generator().manual_seed(derive_seed(rng.initial_seed(), "pool"))
        return self.pool.draw(list(self.detectors), order, self.probabilities)

    def of_member(self, member: Member, fakes: Tensor) -> Tensor:
        """Return the objective of one detector's logits of fakes (B, C, H, W)."""
        return self.objective(self.detectors[member](fakes).float(), self.real_logits[member])
