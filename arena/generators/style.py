"""A style-based generator, after Karras, Laine & Aila 2019 (StyleGAN) and Karras et al. 2020 (StyleGAN2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.config import require
from arena.generators.discriminator import ResidualDiscriminator
from arena.generators.equalised import LRELU_GAIN, EqualisedLinear, channels_at, doublings, lrelu
from arena.generators.generator import TrainableGenerator

W_AVERAGE_BETA = 0.995


class Mapping(nn.Module):
    """The mapping network z -> w: leaky ReLU layers, slowed down by ``multiplier`` (StyleGAN, appendix C)."""

    def __init__(self, size: int, depth: int, multiplier: float) -> None:
        super().__init__()
        layers = (EqualisedLinear(size, size, gain=LRELU_GAIN, multiplier=multiplier) for _ in range(depth))
        self.layers = nn.ModuleList(layers)

    def forward(self, z: Tensor) -> Tensor:
        """(B, size) to (B, size); z is first normalised to unit second moment."""
        w = z * z.square().mean(1, keepdim=True).add(1e-8).rsqrt()
        for layer in self.layers:
            w = lrelu(layer(w))
        return w


class ModulatedConv(nn.Module):
    """Convolution whose kernel is scaled, for each image, by its style (StyleGAN2, equations 1 and 3).

    With style s_i and kernel w_oi the image's own kernel is w_oi s_i / sqrt(sum_i (w_oi s_i)^2). The same comes of
    scaling the activations before and after one kernel common to the batch, which no grouped convolution slows down.

    No run-time scale of the weights is needed for an equalised learning rate: they start from N(0, 1), and
    demodulation takes any scale out again.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side of the kernel in pixels, odd.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, inputs, H, W) and style (B, inputs) to (B, outputs, H, W)."""
        energy = F.linear(style.square(), self.weight.square().sum((2, 3)))
        demodulation = energy.mul(LRELU_GAIN**-2).add(1e-8).rsqrt()
        y = F.conv2d(x * _per_channel(style, x), self.weight, padding=self.weight.shape[-1] // 2)
        return y * _per_channel(demodulation, y)


class StyleLayer(nn.Module):
    """Modulated convolution, upsampling where the side doubles, noise, bias, leaky ReLU.

    The convolution runs before the bilinear upsampling (a linear map like itself), on a quarter of the pixels.
    """

    def __init__(self, inputs: int, outputs: int, up: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs)
        self.up = up
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """(B, inputs, h, w), style (B, inputs), noise (B, 1, H, W) or None, to (B, outputs, H, W)."""
        y = self.conv(x, style)
        if self.up:
            y = upsample(y)
        shift = self.bias if noise is None else self.bias + noise * self.noise_strength
        return lrelu(y + shift.to(y.dtype))


class ToImage(nn.Module):
    """Modulated 1x1 convolution to the channels of the image, not demodulated (StyleGAN2, figure 7)."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.scale = inputs**-0.5

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, inputs, H, W) and style (B, inputs) to (B, channels, H, W)."""
        return F.conv2d(x * _per_channel(style * self.scale, x), self.weight, self.bias)


def upsample(x: Tensor) -> Tensor:
    """Bilinear, twice the side, in the dtype of ``x`` (autocast would take it to fp32 and back)."""
    with torch.autocast(x.device.type, enabled=False):
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _per_channel(scale: Tensor, x: Tensor) -> Tensor:
    return scale[:, :, None, None].to(x.dtype)


class StyleGenerator(TrainableGenerator):
    """z -> w -> styles of every layer; a learned constant -> style layers, doubling -> sum of images (skip output).

    Args:
        resolution: side in pixels, a power of two from 8 to 256.
        channels: 1 or 3.
        levels: grey levels of the data (the generator does not round; the evidence path does).
        width: channels up to 16 pixels, halved with every doubling above, at least 8.
        z_dim: size of z, and of w.
        mapping_depth: layers of the mapping network (8 in the paper; 2 for small images).
        mapping_multiplier: of the mapping network's learning rate.
        mixing: probability that an image of a training step mixes the styles of two z.
        discriminator_width: of its discriminator; None for ``width``.
        minibatch_group: images of the discriminator's minibatch deviation, 0 for none.
        learning_rate: of Adam, for equalised layers.

    Raises:
        ArenaError: for a resolution it cannot make, and for impossible sizes.
    """

    layer_of: Tensor
    w_average: Tensor

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        width: int = 32,
        z_dim: int = 64,
        mapping_depth: int = 2,
        mapping_multiplier: float = 0.01,
        mixing: float = 0.5,
        discriminator_width: int | None = None,
        minibatch_group: int = 0,
        learning_rate: float = 4e-3,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        sizes = {"width": width, "z_dim": z_dim, "mapping_depth": mapping_depth}
        discriminator_width = width if discriminator_width is None else discriminator_width
        for key, value in (sizes | {"discriminator_width": discriminator_width}).items():
            require(value >= 1, f"generator.{key}", value, "at least 1")
        require(0 <= mixing <= 1, "generator.mixing", mixing, "a probability")
        require(minibatch_group >= 0, "generator.minibatch_group", minibatch_group, "0 or more images")
        require(learning_rate > 0, "generator.learning_rate", learning_rate, "above 0")
        self.z_dim, self.mixing, self.learning_rate = z_dim, mixing, learning_rate
        self.discriminator_width, self.minibatch_group = discriminator_width, minibatch_group

        self.sides = [4] + [4 << k for k in range(1, doublings(resolution) + 1) for _ in range(2)]
        widths = [channels_at(side, width) for side in self.sides]
        inputs = widths[:1] + widths[:-1]
        ups = [False, *(b > a for a, b in zip(self.sides[:-1], self.sides[1:], strict=True))]
        self.mapping = Mapping(z_dim, mapping_depth, mapping_multiplier)
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.layers = nn.ModuleList(map(StyleLayer, inputs, widths, ups))
        # One image per side, made after the side's last layer.
        self.last_of_side = [k for k in range(len(ups)) if k % 2 == 0]
        self.to_image = nn.ModuleList(ToImage(widths[k], channels) for k in self.last_of_side)
        # The styles of all layers and all images come of one product; ``layer_of`` says to whose layer each belongs.
        self.style_sizes = inputs + [widths[k] for k in self.last_of_side]
        self.styles = EqualisedLinear(z_dim, sum(self.style_sizes), bias=1.0)
        owners = torch.tensor([*range(len(inputs)), *(k + 1 for k in self.last_of_side)])
        self.register_buffer("layer_of", owners.repeat_interleave(torch.tensor(self.style_sizes)), persistent=False)
        self.register_buffer("w_average", torch.zeros(z_dim))

    def discriminator(self, resolution: int) -> ResidualDiscriminator:
        """A residual discriminator of the width asked for."""
        return ResidualDiscriminator(
            resolution=resolution,
            channels=self.channels,
            width=self.discriminator_width,
            group=self.minibatch_group,
        )

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Images of z (B, z_dim); noise inputs come from ``rng``, and are left out without one."""
        return self.synthesise(self.styles(self.mapping(z)), rng)

    def truncated(self, z: Tensor, psi: float, rng: torch.Generator | None = None) -> Tensor:
        """Images with w drawn towards its mean by ``psi`` (StyleGAN, appendix B): to look at, never to judge by."""
        return self.synthesise(self.styles(self.w_average.lerp(self.mapping(z), psi)), rng)

    def draw(self, z: Tensor, rng: torch.Generator) -> Tensor:
        """Images of a training step, styles mixed (StyleGAN, section 3.1); follows the mean of w."""
        other = torch.randn(z.shape, generator=rng, device=z.device)
        w = self.mapping(torch.cat([z, other]))
        with torch.no_grad():
            self.w_average.lerp_(w.float().mean(0), 1 - W_AVERAGE_BETA)
        styles, others = self.styles(w).chunk(2)
        return self.synthesise(self.mix(styles, others, rng), rng)

    def mix(self, styles: Tensor, other: Tensor, rng: torch.Generator) -> Tensor:
        """With probability ``mixing`` an image takes the styles from a random layer on from ``other``; both (B, S)."""
        chance, where = torch.rand(2, len(styles), 1, generator=rng, device=styles.device)
        # From layer 1 on at the earliest, so that both z show; never (past the last image) where there is no mixing.
        crossover = 1 + (where * (len(self.layers) - 1)).long()
        crossover = crossover.masked_fill(chance >= self.mixing, len(self.layers) + 1)
        return torch.where(self.layer_of < crossover, styles, other)

    def synthesise(self, styles: Tensor, rng: torch.Generator | None) -> Tensor:
        """Images (B, C, H, W) of the styles (B, S) of all layers, noise from ``rng`` or none."""
        each = styles.split(self.style_sizes, dim=1)
        of_layer, of_image = each[: len(self.layers)], each[len(self.layers) :]
        noise = self._noise(len(styles), rng)
        # Under autocast all activations keep its dtype, or every product would promote and convert.
        x = self.constant.to(styles.dtype).expand(len(styles), -1, -1, -1)
        image: Tensor | None = None
        for k, layer in enumerate(self.layers):
            x = layer(x, of_layer[k], noise[k])
            if k in self.last_of_side:
                new = self.to_image[k // 2](x, of_image[k // 2])
                image = new if image is None else upsample(image) + new
        assert image is not None
        # The discriminator sees images clipped to black and white, so nothing would pull a pixel back that went beyond.
        return image.tanh()

    def _noise(self, n: int, rng: torch.Generator | None) -> list[Tensor | None]:
        """Noise inputs (n, 1, H, W) of every layer, from one draw."""
        if rng is None:
            return [None] * len(self.layers)
        sizes = [side**2 for side in self.sides]
        flat = torch.randn(n, sum(sizes), generator=rng, device=self.constant.device)
        return [part.unflatten(1, (1, side, side)) for part, side in zip(flat.split(sizes, 1), self.sides, strict=True)]
