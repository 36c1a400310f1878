"""StyleGAN2-ADA's networks as the paper writes them down (Karras et al. 2020), without optimisation.

They are the baseline for the speed of ``arena.generators.style`` and are not meant for training. Every operation is
separate, as in the reference implementation without its compiled extensions. Each image has its own kernels. Resampling
inserts zeros, pads and filters by [1, 3, 3, 1]. Weight scaling, bias, leaky ReLU and gain are one pass each. Layouts
are contiguous. Sizes, and so parameters, equal those of ``arena.generators.style`` at the same settings.
"""

import math
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.generators.base import TrainableGenerator
from arena.generators.layers import SLOPE, channels_at, doublings

TAPS = (1.0, 3.0, 3.0, 1.0)
GROUP = 4
"""Group size of the minibatch deviation."""
W_AVERAGE_BETA = 0.995


def upfirdn2d(x: Tensor, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0), gain: float = 1.0) -> Tensor:
    """Insert ``up`` - 1 zeros after every pixel, pad, filter by [1, 3, 3, 1] / 8 along both axes, and subsample.

    Args:
        x: (B, C, H, W).
        up: factor of upsampling.
        down: factor of subsampling.
        pad: zeros before and after, along both axes.
        gain: factor of the result.
    """
    images, channels, height, width = x.shape
    x = x.reshape(images, channels, height, 1, width, 1)
    x = F.pad(x, [0, up - 1, 0, 0, 0, up - 1]).reshape(images, channels, height * up, width * up)
    x = F.pad(x, [*pad, *pad])
    x = F.conv2d(x, (_filter(x.device) * gain).to(x.dtype).expand(channels, 1, -1, -1), groups=channels)
    return x[:, :, ::down, ::down]


@cache
def _filter(device: torch.device) -> Tensor:
    """Return the outer product of the taps, normalised to sum 1."""
    taps = torch.tensor(TAPS, device=device)
    return torch.outer(taps, taps) / taps.sum() ** 2


def bias_act(x: Tensor, bias: Tensor, gain: float = 1.0) -> Tensor:
    """Apply bias, leaky ReLU of slope 0.2 times sqrt(2), and gain, one after the other."""
    x = x + bias.reshape(1, -1, *[1] * (x.ndim - 2))
    x = F.leaky_relu(x, SLOPE)
    return x * (math.sqrt(2) * gain)


def modulated_conv2d(x: Tensor, weight: Tensor, style: Tensor, *, up: bool = False, demodulate: bool = True) -> Tensor:
    """Convolve each image with its own kernel (StyleGAN2, equations 1 and 3, and appendix B).

    Each image is one group of a grouped convolution. The reference implementation scales activations instead during
    training, which takes as long in this port.

    Args:
        x: (B, inputs, H, W).
        weight: (outputs, inputs, k, k), modulated by the style of each image.
        style: (B, inputs).
        up: doubles the side by a transposed convolution of stride 2 and the filter.
        demodulate: normalises the kernel of each image.
    """
    images, inputs, height, width = x.shape
    outputs, _, kernel, _ = weight.shape
    kernels = weight[None] * style[:, None, :, None, None]
    if demodulate:
        kernels = kernels * kernels.square().sum((2, 3, 4), keepdim=True).add(1e-8).rsqrt()
    x = x.reshape(1, images * inputs, height, width)
    if up:
        kernels = kernels.transpose(1, 2).reshape(images * inputs, outputs, kernel, kernel)
        x = F.conv_transpose2d(x, kernels, stride=2, groups=images)  # 2 H + 1 pixels
    else:
        kernels = kernels.reshape(images * outputs, inputs, kernel, kernel)
        x = F.conv2d(x, kernels, padding=kernel // 2, groups=images)
    x = x.reshape(images, outputs, *x.shape[2:])
    return upfirdn2d(x, pad=(1, 1), gain=4) if up else x


class Dense(nn.Module):
    """Equalised linear layer with an optional leaky ReLU."""

    def __init__(
        self, inputs: int, outputs: int, *, activate: bool = True, bias: float = 0.0, multiplier: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / multiplier))
        self.activate, self.multiplier, self.scale = activate, multiplier, multiplier / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        x = x @ (self.weight * self.scale).T
        bias = self.bias * self.multiplier
        return bias_act(x, bias) if self.activate else x + bias


class TextbookConvolution(nn.Module):
    """Equalised convolution, with the filter first if it halves the side. Without activation it has no bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, down: bool = False, activate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if activate else None
        self.scale, self.down = 1 / math.sqrt(inputs * kernel**2), down

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W), or half the side."""
        weight, side = self.weight * self.scale, self.weight.shape[-1]
        if self.down and side == 1:
            x = F.conv2d(upfirdn2d(x, down=2, pad=(1, 1)), weight)
        elif self.down:
            x = F.conv2d(upfirdn2d(x, pad=(2, 2)), weight, stride=2)
        else:
            x = F.conv2d(x, weight, padding=side // 2)
        return x * gain if self.bias is None else bias_act(x, self.bias, gain)


class SynthesisLayer(nn.Module):
    """Style, modulated convolution, noise, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, z_dim: int, up: bool) -> None:
        super().__init__()
        self.affine = Dense(z_dim, inputs, activate=False, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.up = up

    def forward(self, x: Tensor, w: Tensor, rng: torch.Generator | None) -> Tensor:
        """(B, inputs, h, w) and w (B, z_dim) to (B, outputs, H, W)."""
        style = self.affine(w)
        x = modulated_conv2d(x, self.weight, style, up=self.up)
        if rng is not None:
            noise = torch.randn(len(x), 1, *x.shape[2:], generator=rng, device=x.device)
            x = x + noise * self.noise_strength
        return bias_act(x, self.bias)


class ToRgb(nn.Module):
    """Modulated 1x1 convolution to the channels of the image."""

    def __init__(self, inputs: int, channels: int, z_dim: int) -> None:
        super().__init__()
        self.affine = Dense(z_dim, inputs, activate=False, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(B, inputs, H, W) and w (B, z_dim) to (B, channels, H, W)."""
        style = self.affine(w) * self.scale
        x = modulated_conv2d(x, self.weight, style, demodulate=False)
        return x + self.bias[:, None, None]


class TextbookGenerator(TrainableGenerator):
    """Mapping network, learned constant, two layers per side, and skip outputs that are added up.

    Args:
        resolution: side in pixels, a power of two from 8 to 256.
        channels: 1 or 3.
        levels: grey levels of the data.
        width: channels up to 16 pixels, halved with every doubling above.
        z_dim: size of z and of w.
        mapping_depth: layers of the mapping network.
        mixing: probability that a training step mixes the styles of two z.
    """

    w_average: Tensor

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        width: int,
        z_dim: int,
        mapping_depth: int,
        mixing: float,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        self.z_dim, self.width, self.mixing, self.learning_rate = z_dim, width, mixing, 2.5e-3
        sides = [4 << k for k in range(doublings(resolution) + 1)]
        widths = [channels_at(side, width) for side in sides]
        self.mapping = nn.Sequential(*(Dense(z_dim, z_dim, multiplier=0.01) for _ in range(mapping_depth)))
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        inputs = [widths[0], *(a for pair in pairwise(widths) for a in pair)]
        outputs = [widths[0], *(b for b in widths[1:] for _ in range(2))]
        self.layers = nn.ModuleList(
            SynthesisLayer(a, b, z_dim, up=k % 2 == 1) for k, (a, b) in enumerate(zip(inputs, outputs, strict=True))
        )
        self.to_rgb = nn.ModuleList(ToRgb(a, channels, z_dim) for a in widths)
        self.register_buffer("w_average", torch.zeros(z_dim))

    def discriminator(self, resolution: int) -> "TextbookDiscriminator":
        """Build a discriminator as wide as the generator."""
        return TextbookDiscriminator(resolution=resolution, channels=self.channels, width=self.width)

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return images of z (B, z_dim). Without ``rng`` there are no noise inputs."""
        return self.synthesise([self._w(z)] * (len(self.layers) + 1), rng)

    def draw(self, z: Tensor, rng: torch.Generator) -> Tensor:
        """Return the images of a training step with mixed styles, and update the mean of w."""
        w = self._w(z)
        with torch.no_grad():
            self.w_average.lerp_(w.mean(0), 1 - W_AVERAGE_BETA)
        styles = len(self.layers) + 1
        where = torch.randint(1, styles, (), generator=rng, device=z.device)
        mixes = torch.rand((), generator=rng, device=z.device) < self.mixing
        crossover = torch.where(mixes, where, torch.full_like(where, styles))
        other = self._w(torch.randn(z.shape, generator=rng, device=z.device))
        return self.synthesise([torch.where(crossover > k, w, other) for k in range(styles)], rng)

    def synthesise(self, w: list[Tensor], rng: torch.Generator | None) -> Tensor:
        """Return images of one w (B, z_dim) per layer, and one for the last output."""
        x = self.constant.expand(len(w[0]), -1, -1, -1)
        image = self.to_rgb[0](x := self.layers[0](x, w[0], rng), w[1])
        for k in range(1, len(self.layers), 2):
            x = self.layers[k](x, w[k], rng)
            x = self.layers[k + 1](x, w[k + 1], rng)
            image = upfirdn2d(image, up=2, pad=(2, 1), gain=4) + self.to_rgb[(k + 1) // 2](x, w[k + 2])
        return image

    def _w(self, z: Tensor) -> Tensor:
        return self.mapping(z * z.square().mean(1, keepdim=True).add(1e-8).rsqrt())


class TextbookBlock(nn.Module):
    """Residual block of two convolutions that halves the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = TextbookConvolution(inputs, inputs, 3)
        self.second = TextbookConvolution(inputs, outputs, 3, down=True)
        self.skip = TextbookConvolution(inputs, outputs, 1, down=True, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H/2, W/2)."""
        return self.skip(x, math.sqrt(0.5)) + self.second(self.first(x), math.sqrt(0.5))


class TextbookDiscriminator(nn.Module):
    """Residual blocks down to 4 pixels, minibatch deviation, convolution and two linear layers."""

    def __init__(self, *, resolution: int, channels: int, width: int) -> None:
        super().__init__()
        widths = [channels_at(resolution >> k, width) for k in range(doublings(resolution) + 1)]
        self.from_rgb = TextbookConvolution(channels, widths[0], 1)
        self.blocks = nn.Sequential(*(TextbookBlock(a, b) for a, b in pairwise(widths)))
        self.last = TextbookConvolution(widths[-1] + 1, widths[-1], 3)
        self.dense = Dense(widths[-1] * 16, widths[-1])
        self.logit = Dense(widths[-1], 1, activate=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B,). Higher means more real."""
        x = self.blocks(self.from_rgb(images))
        group = math.gcd(len(x), GROUP)
        deviation = x.unflatten(0, (-1, group)).var(1, unbiased=False).add(1e-8).sqrt().mean((1, 2, 3))
        channel = deviation.repeat_interleave(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])
        x = self.last(torch.cat([x, channel], dim=1))
        return self.logit(self.dense(x.flatten(1))).squeeze(1)
