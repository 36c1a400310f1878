"""R3GAN, after Huang, Gokaslan, Kuleshov & Tompkin 2024: a modern residual network, no style, no normalisation.

Here sides double bilinearly and halve by averaging (the paper filters both by [1, 2, 1]), images end in tanh, and the
paper's cosine schedules of rates and penalties are left out.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from arena.core.errors import require
from arena.generators.base import TrainableGenerator
from arena.generators.discriminator import logits, sum_of_four
from arena.generators.layers import LRELU_GAIN, Convolution, channels_at, doublings, lrelu, upsample

EXPANSION = 2
CONVOLUTIONS = 3
"""Of a residual block."""


class Block(nn.Module):
    """x + 1x1 (grouped 3x3 (1x1 x)), leaky ReLU between them; the last begins at zero, so that the block is x at first.

    Args:
        channels: in and out; twice as many inside.
        group: channels of one group of the 3x3 convolution.
        blocks: of the whole network, L: weights begin smaller by L^(-1/4) (Fixup, Zhang, Dauphin & Ma 2019).
    """

    def __init__(self, channels: int, group: int, blocks: int) -> None:
        super().__init__()
        inside = channels * EXPANSION
        self.first = Convolution(channels, inside, 1)
        self.second = Convolution(inside, inside, 3, padding=1, groups=max(1, inside // group))
        self.third = Convolution(inside, channels, 1, bias=False)
        gain = LRELU_GAIN * blocks ** (-1 / (2 * CONVOLUTIONS - 2))
        for layer in (self.first, self.second):
            _initialise(layer, gain)
        nn.init.zeros_(self.third.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x + self.third(lrelu(self.second(lrelu(self.first(x)))))


def _initialise(layer: Convolution | nn.Linear, gain: float = 1.0) -> None:
    nn.init.normal_(layer.weight, std=gain / layer.weight[0].numel() ** 0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _stages(widths: list[int], blocks: int, group: int) -> nn.ModuleList:
    """The residual blocks at each resolution."""
    whole = blocks * len(widths)
    return nn.ModuleList(nn.Sequential(*(Block(width, group, whole) for _ in range(blocks))) for width in widths)


def _transitions(widths: list[int]) -> nn.ModuleList:
    """From one width to the next, where they differ."""
    layers = [Convolution(a, b, 1, bias=False) if a != b else nn.Identity() for a, b in pairwise(widths)]
    for layer in layers:
        if isinstance(layer, Convolution):
            _initialise(layer)
    return nn.ModuleList(layers)


class R3ganGenerator(TrainableGenerator):
    """z weighs a learned 4x4 basis; residual blocks, bilinear doubling between them; 1x1 convolution -> tanh.

    Args:
        resolution: side in pixels, a power of two from 8 to 256.
        channels: 1 or 3.
        levels: grey levels of the data (the generator does not round; the evidence path does).
        width: channels up to 16 pixels, halved with every doubling above (768 throughout in the paper).
        blocks: at each resolution.
        group: channels of one group of the 3x3 convolutions (16 in the paper).
        z_dim: size of z (64 in the paper).
        learning_rate: of Adam.

    Raises:
        ArenaError: for a resolution it cannot make, and for impossible sizes.
    """

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        width: int = 64,
        blocks: int = 2,
        group: int = 16,
        z_dim: int = 64,
        learning_rate: float = 2e-4,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        for key, value in {"width": width, "blocks": blocks, "group": group, "z_dim": z_dim}.items():
            require(value >= 1, f"generator.{key}", value, "at least 1")
        widths = [channels_at(4 << k, width) for k in range(doublings(resolution) + 1)]
        for inside in (EXPANSION * channels for channels in widths):
            require(inside % min(group, inside) == 0, "generator.group", group, f"a divisor of {inside}, twice a width")
        require(learning_rate > 0, "generator.learning_rate", learning_rate, "above 0")
        self.width, self.blocks, self.group = width, blocks, group
        self.z_dim, self.learning_rate = z_dim, learning_rate
        self.basis = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.weigh = nn.Linear(z_dim, widths[0], bias=False)
        _initialise(self.weigh)
        self.stages, self.transitions = _stages(widths, blocks, group), _transitions(widths)
        self.to_image = Convolution(widths[-1], channels, 1, bias=False)
        _initialise(self.to_image)

    def discriminator(self, resolution: int) -> "R3ganDiscriminator":
        """The mirror image of the generator."""
        return R3ganDiscriminator(
            resolution=resolution, channels=self.channels, width=self.width, blocks=self.blocks, group=self.group
        )

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Images of z (B, z_dim); nothing else is random."""
        x = self.weigh(z)[:, :, None, None] * self.basis
        for k, stage in enumerate(self.stages):
            x = stage(x if k == 0 else upsample(self.transitions[k - 1](x)))
        return self.to_image(x).tanh()


class R3ganDiscriminator(nn.Module):
    """(B, C, H, W) -> logits (B,) in fp32, higher means more real; halves by averaging four pixels."""

    def __init__(self, *, resolution: int, channels: int, width: int, blocks: int, group: int) -> None:
        super().__init__()
        widths = [channels_at(4 << k, width) for k in reversed(range(doublings(resolution) + 1))]
        self.from_image = Convolution(channels, widths[0], 1, bias=False)
        _initialise(self.from_image)
        self.stages, self.transitions = _stages(widths, blocks, group), _transitions(widths)
        self.basis = Convolution(widths[-1], widths[-1], 4, groups=widths[-1], bias=False)
        _initialise(self.basis)
        self.logit = nn.Linear(widths[-1], 1)
        _initialise(self.logit)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,)."""
        x = self.from_image(images.clone(memory_format=torch.channels_last))
        for k, stage in enumerate(self.stages):
            x = stage(x if k == 0 else self.transitions[k - 1](sum_of_four(x) / 4))
        return logits(self.logit, self.basis(x).flatten(1))
