"""Access: what the generator is told of each technique. The threat model is data, kept with every record."""

from dataclasses import dataclass, field
from typing import Literal

from arena.config import require


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
    """

    name: str
    gradients: bool
    reals: Literal["detector", "generator"]
    held_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        require(self.reals in ("detector", "generator"), "access.reals", self.reals, "detector or generator")

    def told(self, technique: str, differentiable: bool) -> bool:
        """Whether the generator is told of this technique."""
        return self.gradients and differentiable and technique not in self.held_out
