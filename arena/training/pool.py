"""The pool: which past detectors a response is played against (Pathak & Dufour 2023: "fool-all" and "memoryless")."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from arena.config import require


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

    def members(self, techniques: list[str], round: int) -> list[Member]:
        """The detectors a response to ``round`` may know, of the techniques told."""
        rounds = range(round + 1) if self.memory == "all" else [round]
        return [Member(technique, r) for r in rounds for technique in techniques]

    def draw(self, members: list[Member], rng: torch.Generator) -> list[Member]:
        """``sample`` distinct members, or all where they are fewer."""
        order = torch.randperm(len(members), generator=rng, device=rng.device)
        return [members[i] for i in order[: self.sample].tolist()]
