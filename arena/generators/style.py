"""StyleGAN, after Karras, Laine & Aila 2019 and Karras et al. 2020 (StyleGAN2): style generator and discriminator."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Unpack

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.core.files import file_hash
from arena.generators.base import TrainableGenerator, TrainableShape
from arena.generators.layers import (
    LRELU_GAIN,
    EqualisedConv,
    EqualisedLinear,
    StyleLayer,
    ToImage,
    channels_at,
    doublings,
    logits,
    lrelu,
    sum_of_four,
    upsample,
)
from arena.generators.output import Output, OutputLayer
from arena.outside.programs import load_weights

W_AVERAGE_BETA = 0.995
FROZEN_SEED = 2019

Noise = torch.Generator | Literal["frozen"] | None
"""Noise inputs: drawn from a stream, the frozen ones of the generator, or none."""
Level = Literal["coarse", "middle", "fine"]
LEVELS: tuple[Level, ...] = ("coarse", "middle", "fine")


class MappingNetwork(nn.Module):
    """Mapping network z -> w: leaky ReLU layers with a learning rate multiplier (StyleGAN, appendix C)."""

    def __init__(self, size: int, depth: int, multiplier: float) -> None:
        super().__init__()
        layers = (EqualisedLinear(size, size, gain=LRELU_GAIN, multiplier=multiplier) for _ in range(depth))
        self.layers = nn.ModuleList(layers)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (B, size) to w (B, size). z is first normalised to unit second moment."""
        w = z * z.square().mean(1, keepdim=True).add(1e-8).rsqrt()
        for layer in self.layers:
            w = lrelu(layer(w))
        return w


class StyleGenerator(TrainableGenerator):
    """z -> w -> styles of all layers; learned constant -> style layers, doubling -> sum of images (output skips).

    The styles are a function of a *code*: w (B, z_dim), shared by all layers, or W+ (B, n_styles, z_dim), one vector
    for each layer (Abdal, Qin & Wonka 2019).

    Args:
        width: channels up to 16 pixels, halved with every doubling above, at least 8.
        z_dim: size of z, and of w.
        mapping_depth: layers of the mapping network (8 in the paper; 2 for small images).
        mapping_multiplier: of the mapping network's learning rate.
        mixing: probability that a training image mixes the styles of two z.
        discriminator_width: as ``width``, for the discriminator; None for the same.
        minibatch_group: images of the discriminator's minibatch deviation, 0 for none.
        learning_rate: of Adam, for equalised layers.
        output: form of the last layer, see ``OutputLayer``.
        weights: safetensors file to start from, such as ``generator.safetensors`` of a finished round, or None.
        shape: see ``TrainableShape``.
    """

    layer_of: Tensor
    w_average: Tensor
    frozen_noise: Tensor

    def __init__(
        self,
        *,
        width: PositiveInt = 32,
        z_dim: PositiveInt = 64,
        mapping_depth: PositiveInt = 2,
        mapping_multiplier: PositiveFloat = 0.01,
        mixing: Annotated[float, Field(ge=0, le=1)] = 0.5,
        discriminator_width: PositiveInt | None = None,
        minibatch_group: NonNegativeInt = 0,
        learning_rate: PositiveFloat = 4e-3,
        output: Output = "scaled_tanh",
        weights: str | Path | None = None,
        **shape: Unpack[TrainableShape],
    ) -> None:
        super().__init__(**shape)
        self.z_dim, self.mixing, self.learning_rate = z_dim, mixing, learning_rate
        self.discriminator_width, self.minibatch_group = discriminator_width or width, minibatch_group

        self.sides = [4] + [4 << k for k in range(1, doublings(self.resolution) + 1) for _ in range(2)]
        widths = [channels_at(side, width) for side in self.sides]
        inputs = widths[:1] + widths[:-1]
        ups = [False, *(b > a for a, b in zip(self.sides[:-1], self.sides[1:], strict=True))]
        self.mapping = MappingNetwork(z_dim, mapping_depth, mapping_multiplier)
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.layers = nn.ModuleList(map(StyleLayer, inputs, widths, ups))
        # One image for each side, made after the last layer of the side.
        self.last_of_side = [k for k in range(len(ups)) if k % 2 == 0]
        self.to_image = nn.ModuleList(ToImage(widths[k], self.channels) for k in self.last_of_side)
        # One matrix product gives the styles of all layers and images. ``layer_of`` is the layer whose code a style
        # depends on; an image shares the code of the layer after it.
        self.style_sizes = inputs + [widths[k] for k in self.last_of_side]
        self.owners = [*range(len(inputs)), *(k + 1 for k in self.last_of_side)]
        self.n_styles = len(inputs) + 1
        self.output = OutputLayer(output)
        self.styles = EqualisedLinear(z_dim, sum(self.style_sizes), bias=1.0)
        sizes = torch.tensor(self.style_sizes)
        layer_of = torch.tensor(self.owners).repeat_interleave(sizes, output_size=sum(self.style_sizes))
        self.register_buffer("layer_of", layer_of, persistent=False)
        self.register_buffer("w_average", torch.zeros(z_dim))
        rng = torch.Generator().manual_seed(FROZEN_SEED)
        frozen_noise = torch.randn(1, sum(side**2 for side in self.sides), generator=rng)
        self.register_buffer("frozen_noise", frozen_noise, persistent=False)
        self.weights = weights
        if weights is not None:
            load_weights(self, weights, "generator.weights")

    def fingerprint(self) -> str:
        """Return the hash of the initial weights, or "" without a file."""
        return file_hash([Path(self.weights).expanduser()]) if self.weights else ""

    def discriminator(self, resolution: int) -> "ResidualDiscriminator":
        """Return a residual discriminator."""
        shape = {"resolution": resolution, "channels": self.channels}
        return ResidualDiscriminator(**shape, width=self.discriminator_width, group=self.minibatch_group)

    @property
    def style_levels(self) -> dict[Level, slice]:
        """Return the layers of each level of style, as a slice of the n_styles of a W+ code.

        StyleGAN (section 3.1) calls 4 and 8 pixels coarse, 16 and 32 middle and the rest fine. Here the last side is
        always fine. Images below 32 pixels have only 4 pixels as coarse. At 8 pixels the first of the two layers is
        middle and the second fine.
        """
        sides, coarsest = self.sides, 8 if self.resolution >= 32 else 4
        coarse = sum(side <= coarsest for side in sides)
        middle = sum(coarsest < side <= 32 and side < self.resolution for side in sides) or 1
        cuts = (0, coarse, coarse + middle, self.n_styles)
        return {level: slice(a, b) for level, a, b in zip(LEVELS, cuts[:-1], cuts[1:], strict=True)}

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return images of z (B, z_dim). Noise inputs are drawn from ``rng``; without it there is no noise."""
        return self.images_of(self.mapping(z), rng)

    def images_of(self, code: Tensor, noise: Noise = None) -> Tensor:
        """Return images of a code, w (B, z_dim) or W+ (B, n_styles, z_dim)."""
        return self.synthesise(self.styles_of(code), noise)

    def w_plus(self, code: Tensor) -> Tensor:
        """Return a code as W+ (B, n_styles, z_dim): w (B, z_dim) repeated for every layer, W+ unchanged."""
        return code if code.ndim == 3 else code[:, None].expand(-1, self.n_styles, -1)

    def truncated(self, z: Tensor, psi: float) -> Tensor:
        """Return codes w truncated towards their mean by ``psi`` (StyleGAN, appendix B), for display only."""
        return self.w_average.lerp(self.mapping(z), psi)

    def draw(self, z: Tensor, rng: torch.Generator) -> Tensor:
        """Return images for a training step, with mixed styles (StyleGAN, section 3.1). Updates the mean of w."""
        other = torch.randn(z.shape, generator=rng, device=z.device)
        w = self.mapping(torch.cat([z, other]))
        with torch.no_grad():
            self.w_average.lerp_(w.float().mean(0), 1 - W_AVERAGE_BETA)
        styles, others = self.styles(w).chunk(2)
        return self.synthesise(self.mix(styles, others, rng), rng)

    def mix(self, styles: Tensor, other: Tensor, rng: torch.Generator) -> Tensor:
        """Replace, with probability ``mixing``, the styles (B, S) after a random layer by those of ``other`` (B, S)."""
        chance, place = torch.rand(2, len(styles), 1, generator=rng, device=styles.device)
        # Not before layer 1, so that both z show. Past the last image means no mixing.
        crossover = 1 + (place * (len(self.layers) - 1)).long()
        crossover = crossover.masked_fill(chance >= self.mixing, self.n_styles)
        return torch.where(self.layer_of < crossover, styles, other)

    def styles_of(self, code: Tensor) -> Tensor:
        """Return the styles (B, S) of all layers and images, from a code."""
        if code.ndim == 2:
            return self.styles(code)
        weights = (self.styles.weight * self.styles.scale).split(self.style_sizes)
        biases = self.styles.bias.split(self.style_sizes)
        parts = zip(self.owners, weights, biases, strict=True)
        return torch.cat([F.linear(code[:, k], weight, bias) for k, weight, bias in parts], dim=1)

    def synthesise(self, styles: Tensor, noise: Noise) -> Tensor:
        """Return images (B, C, H, W) from the styles (B, S) of all layers."""
        each = styles.split(self.style_sizes, dim=1)
        of_layer, of_image = each[: len(self.layers)], each[len(self.layers) :]
        inputs = self._noise(len(styles), noise)
        # Under autocast all activations keep its dtype. Otherwise every product would promote and convert.
        x = self.constant.to(styles.dtype).expand(len(styles), -1, -1, -1)
        image: Tensor | None = None
        for k, layer in enumerate(self.layers):
            x = layer(x, of_layer[k], inputs[k])
            if k in self.last_of_side:
                new = self.to_image[k // 2](x, of_image[k // 2])
                image = new if image is None else upsample(image) + new
        assert image is not None
        return self.output(image)

    def _noise(self, n: int, noise: Noise) -> Sequence[Tensor | None]:
        """Return the noise inputs (n, 1, H, W) of every layer from one draw, or frozen ones (1, 1, H, W)."""
        if noise is None:
            return [None] * len(self.layers)
        flat = self.frozen_noise
        if isinstance(noise, torch.Generator):
            flat = torch.randn(n, flat.shape[1], generator=noise, device=flat.device)
        parts = flat.split([side**2 for side in self.sides], 1)
        return [part.unflatten(1, (1, side, side)) for part, side in zip(parts, self.sides, strict=True)]


class ResidualDiscriminator(nn.Module):
    """Map images (B, C, H, W) in [-1, 1] to logits (B,) in fp32, higher for real. Twice differentiable.

    Args:
        resolution: side in pixels, a power of two from 8 to 256.
        channels: 1 or 3.
        width: channels up to 16 pixels, halved with every doubling above.
        group: images over which the minibatch deviation is taken. With 0, the logit of an image is its own.
    """

    def __init__(self, *, resolution: int, channels: int, width: int, group: int = 0) -> None:
        super().__init__()
        sides = [resolution >> k for k in range(doublings(resolution) + 1)]
        widths = [channels_at(side, width) for side in sides]
        self.from_image = EqualisedConv(channels, widths[0], 1, gain=LRELU_GAIN)
        self.blocks = nn.Sequential(*(DiscriminatorBlock(a, b) for a, b in pairwise(widths)))
        self.deviation = MinibatchDeviation(group) if group else nn.Identity()
        self.last = EqualisedConv(widths[-1] + bool(group), widths[-1], 3, gain=LRELU_GAIN)
        self.dense = EqualisedLinear(widths[-1] * 16, widths[-1], gain=LRELU_GAIN)
        self.logit = EqualisedLinear(widths[-1], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B,)."""
        images = images.clone(memory_format=torch.channels_last)  # a 1x1 kernel would keep the other layout
        x = self.blocks(lrelu(self.from_image(images)))
        x = lrelu(self.last(self.deviation(x)))
        return logits(self.logit, lrelu(self.dense(x.flatten(1))))


class DiscriminatorBlock(nn.Module):
    """Two convolutions and a skip, half the side: (B, inputs, H, W) -> (B, outputs, H/2, W/2).

    The first convolution and its leaky ReLU work at full resolution, so that patterns which alternate from pixel to
    pixel survive the averaging.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # 1/sqrt(2) keeps the second moment of the sum, 1/4 turns a sum of four pixels into their mean. Both are free
        # as part of the weights.
        self.first = EqualisedConv(inputs, inputs, 3, gain=LRELU_GAIN)
        self.second = EqualisedConv(inputs, outputs, 3, gain=LRELU_GAIN / math.sqrt(2) / 4)
        self.skip = EqualisedConv(inputs, outputs, 1, gain=1 / math.sqrt(2) / 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the side."""
        y = lrelu(self.second(sum_of_four(lrelu(self.first(x)))))
        return y + self.skip(sum_of_four(x))


class MinibatchDeviation(nn.Module):
    """Append one channel: the deviation over a group of images, averaged over all places (Karras et al. 2018, sec. 3).

    The logit of an image then depends on its batch mates, so only the GAN's own discriminator may use this layer.
    Groups are neighbours in the batch. If the number of reals is a multiple of the group, a batch of reals followed
    by fakes has no mixed group. For other batch sizes the group is the greatest common divisor.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C + 1, H, W)."""
        group = math.gcd(len(x), self.group)
        deviation = x.float().unflatten(0, (-1, group)).var(1, unbiased=False).add(1e-8).sqrt().mean((1, 2, 3))
        channel = deviation.repeat_interleave(group)[:, None, None, None]
        return torch.cat([x, channel.to(x.dtype).expand(-1, 1, *x.shape[2:])], dim=1)
