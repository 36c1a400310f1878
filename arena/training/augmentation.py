"""How strongly the GAN's own discriminator has its images augmented: not at all, evenly, or as it over-fits (ADA)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from arena.config import require
from arena.training.augment import augment

LARGEST = 0.8
"""Beyond it augmentations begin to leak into the fakes (Karras et al. 2020, ADA, section 2.2)."""

Critic = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) to logits (B,), higher means more real."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Adaptive discriminator augmentation (Karras et al. 2020, ADA, section 3.1), and its plainer relatives.

    Args:
        probability: of each transformation of each image, at the start.
        target: of the over-fitting heuristic r_t = E[sign D(real)], 0.6 in the paper, which ``probability`` then
            follows; None keeps it as it is.
        images: over which an adapting probability may go from 0 to 1 (500,000 in the paper).
        interval: steps from one adjustment to the next.

    Raises:
        ArenaError: for impossible values.
    """

    probability: float = 0.0
    target: float | None = None
    images: float = 500_000
    interval: int = 4

    def __post_init__(self) -> None:
        key = "augmentation.probability"
        require(0 <= self.probability <= LARGEST, key, self.probability, f"0 to {LARGEST}: more leaks into the fakes")
        possible = self.target is None or -1 < self.target < 1
        require(possible, "augmentation.target", self.target, "between -1 and 1, or null to keep the probability")
        require(self.images > 0, "augmentation.images", self.images, "above 0")
        require(self.interval >= 1, "augmentation.interval", self.interval, "1 or more steps")

    @property
    def off(self) -> bool:
        """Whether no image is ever augmented."""
        return self.target is None and self.probability == 0


class Augmenter(nn.Module):
    """The state of an augmentation over a GAN's life: its probability, and the over-fitting seen since it last moved.

    Args:
        policy: what moves it.
    """

    probability: Tensor
    overfitting: Tensor

    def __init__(self, policy: Augmentation) -> None:
        super().__init__()
        self.policy = policy
        self.register_buffer("probability", torch.tensor(float(policy.probability)))
        self.register_buffer("overfitting", torch.zeros(()))

    def before(self, critic: Critic, rng: torch.Generator) -> Critic:
        """The critic with its images augmented, each time anew."""
        if self.policy.off:
            return critic
        return lambda images: critic(augment(images, self.probability, rng))

    def restore_fixed(self) -> None:
        """Where nothing moves the probability it is the policy's, whatever a snapshot of another policy brought."""
        if self.policy.target is None:
            self.probability.fill_(self.policy.probability)

    @torch.no_grad()
    def observe(self, overfitting: Tensor, step: int, batch: int) -> None:
        """Follow a step's r_t; every ``interval`` steps the probability moves by sign(r_t - target)."""
        if self.policy.target is None:
            return
        if step % self.policy.interval == 0:  # not where it ends: a phase may begin, or go on, at any step
            self.overfitting.zero_()
        self.overfitting += overfitting / self.policy.interval
        if (step + 1) % self.policy.interval == 0:
            move = batch * self.policy.interval / self.policy.images
            self.probability += move * (self.overfitting - self.policy.target).sign()
            self.probability.clamp_(0, LARGEST)
