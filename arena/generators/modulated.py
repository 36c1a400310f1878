"""The layers of a style-based generator: what a style does to a convolution (StyleGAN2, Karras et al. 2020)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.generators.equalised import LRELU_GAIN, lrelu


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

    Unlike StyleGAN2's transposed convolution, the kernel acts before the bilinear upsampling, on the coarser grid and a
    quarter of the pixels.
    """

    def __init__(self, inputs: int, outputs: int, up: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs)
        self.up = up
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """(B, inputs, h, w), style (B, inputs), noise (B or 1, 1, H, W) or None, to (B, outputs, H, W)."""
        y = self.conv(x, style)
        y = y + self.bias.to(y.dtype)  # which interpolation leaves as it is
        if self.up:
            y = upsample(y)
        if noise is not None:
            y = y + (noise * self.noise_strength).to(y.dtype)
        return lrelu(y)


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
