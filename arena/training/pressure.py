"""Pressure: the loss that attacked detectors put on the generator, from access, pool and objective."""

import torch
from torch import Tensor, nn

from arena.detectors.detector import Detector
from arena.seeding import derive_seed
from arena.training.objective import Objective
from arena.training.pool import Member, Pool


class PoolPressure(nn.Module):
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
