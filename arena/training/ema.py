"""The exponential moving average of a generator's weights (Karras et al. 2018, section 5)."""

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

Module = TypeVar("Module", bound=nn.Module)


def average_of(module: Module) -> Module:
    """A copy to average into: in eval mode, without gradients."""
    return copy.deepcopy(module).eval().requires_grad_(False)


def decay(batch: int, images_seen: int, half_life: float, ramp: float) -> float:
    """Share of the average that stays after one step: 0.5^(batch / min(half_life, ramp * images_seen)).

    Args:
        batch: images of the step.
        images_seen: over the generator's life, this step included, so that a young average follows quickly.
        half_life: in images.
        ramp: the half-life is at most this share of the images seen (StyleGAN2-ADA: 0.05).
    """
    return 0.5 ** (batch / min(half_life, ramp * images_seen))


@torch.no_grad()
def update(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Move the average's parameters towards the module's; its buffers (running statistics) become the module's."""
    blend = get_ema_multi_avg_fn(decay)  # one fused call over all tensors
    blend(list(average.parameters()), list(module.parameters()), 0)
    for averaged, current in zip(average.buffers(), module.buffers(), strict=True):
        averaged.copy_(current)
