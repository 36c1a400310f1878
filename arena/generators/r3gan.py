"""R3GAN, after Huang, Gokaslan, Kuleshov & Tompkin 2024: a residual network without style or normalisation.

Differences from the paper: sides double bilinearly and halve by averaging (the paper filters both by [1, 2, 1]).
Images end in ``OutputLayer`` (the paper's in none). There are no cosine schedules of rates and penalties.
"""

from itertools import pairwise
from typing import Unpack

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.core.errors import require
from arena.generators.base import TrainableGenerator, TrainableShape
from arena.generators.layers import (
    LRELU_GAIN,
    channels_at,
    doublings,
    logits,
    lrelu,
    sum_of_four,
    upsample,
)
from arena.generators.output import Output, OutputLayer

EXPANSION = 2
"""Channels inside a residual block, in units of those outside."""


class Block(nn.Module):
    """x + 1x1 (grouped 3x3 (1x1 x)), with leaky ReLU between. The last starts at zero: the block is then the identity.

    Args:
        channels: in and out; twice as many inside.
        group: channels of one group of the 3x3 convolution.
        blocks: of the whole network, L. Initial weights are scaled by L^(-1/4) (Fixup, Zhang, Dauphin & Ma 2019).
    """

    def __init__(self, channels: int, group: int, blocks: int) -> None:
        super().__init__()
        inside = channels * EXPANSION
        self.first = nn.Conv2d(channels, inside, 1)
        self.second = nn.Conv2d(inside, inside, 3, padding=1, groups=max(1, inside // group))
        self.third = nn.Conv2d(inside, channels, 1, bias=False)
        for layer in (self.first, self.second):
            _initialise(layer, gain=LRELU_GAIN * blocks**-0.25)
        nn.init.zeros_(self.third.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        return x + self.third(lrelu(self.second(lrelu(self.first(x)))))


def _initialise(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    nn.init.normal_(layer.weight, std=gain / layer.weight[0].numel() ** 0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _body(widths: list[int], blocks: int, group: int) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Return the residual blocks at each resolution, and the maps from each width to the next: 1x1 if they differ."""
    total = blocks * len(widths)
    stages = [nn.Sequential(*(Block(width, group, total) for _ in range(blocks))) for width in widths]
    transitions = [nn.Conv2d(a, b, 1, bias=False) if a != b else nn.Identity() for a, b in pairwise(widths)]
    for layer in transitions:
        if isinstance(layer, nn.Conv2d):
            _initialise(layer)
    return nn.ModuleList(stages), nn.ModuleList(transitions)


class R3ganGenerator(TrainableGenerator):
    """z weighs a learned 4x4 basis -> residual blocks with bilinear doubling between -> 1x1 convolution -> output.

    Args:
        width: channels up to 16 pixels, halved with every doubling above (768 throughout in the paper).
        blocks: at each resolution.
        group: channels of one group of the 3x3 convolutions (16 in the paper), a divisor of twice every width.
        z_dim: size of z (64 in the paper).
        learning_rate: of Adam.
        output: form of the last layer, see ``OutputLayer``.
        shape: see ``TrainableShape``.
    """

    def __init__(
        self,
        *,
        width: PositiveInt = 64,
        blocks: PositiveInt = 2,
        group: PositiveInt = 16,
        z_dim: PositiveInt = 64,
        learning_rate: PositiveFloat = 2e-4,
        output: Output = "scaled_tanh",
        **shape: Unpack[TrainableShape],
    ) -> None:
        super().__init__(**shape)
        widths = [channels_at(4 << k, width) for k in range(doublings(self.resolution) + 1)]
        for inside in (EXPANSION * channels for channels in widths):
            require(inside % min(group, inside) == 0, "generator.group", group, f"a divisor of {inside}, twice a width")
        self.width, self.blocks, self.group = width, blocks, group
        self.z_dim, self.learning_rate = z_dim, learning_rate
        self.basis = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.weigh = nn.Linear(z_dim, widths[0], bias=False)
        _initialise(self.weigh)
        self.stages, self.transitions = _body(widths, blocks, group)
        self.to_image = nn.Conv2d(widths[-1], self.channels, 1, bias=False)
        _initialise(self.to_image)
        self.output = OutputLayer(output)

    def discriminator(self, resolution: int) -> "R3ganDiscriminator":
        """Return the mirror image of the generator."""
        return R3ganDiscriminator(
            resolution=resolution, channels=self.channels, width=self.width, blocks=self.blocks, group=self.group
        )

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return images of z (B, z_dim). Nothing else is random."""
        x = self.weigh(z)[:, :, None, None] * self.basis
        for k, stage in enumerate(self.stages):
            x = stage(x if k == 0 else upsample(self.transitions[k - 1](x)))
        return self.output(self.to_image(x))


class R3ganDiscriminator(nn.Module):
    """Map images (B, C, H, W) to logits (B,) in fp32, higher for real. Sides halve by averaging four pixels."""

    def __init__(self, *, resolution: int, channels: int, width: int, blocks: int, group: int) -> None:
        super().__init__()
        widths = [channels_at(4 << k, width) for k in reversed(range(doublings(resolution) + 1))]
        self.from_image = nn.Conv2d(channels, widths[0], 1, bias=False)
        _initialise(self.from_image)
        self.stages, self.transitions = _body(widths, blocks, group)
        self.basis = nn.Conv2d(widths[-1], widths[-1], 4, groups=widths[-1], bias=False)
        _initialise(self.basis)
        self.logit = nn.Linear(widths[-1], 1)
        _initialise(self.logit)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B,)."""
        x = self.from_image(images.clone(memory_format=torch.channels_last))
        for k, stage in enumerate(self.stages):
            x = stage(x if k == 0 else self.transitions[k - 1](sum_of_four(x) / 4))
        return logits(self.logit, self.basis(x).flatten(1))
