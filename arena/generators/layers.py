"""Layers of the generators: equalised learning rates, modulated convolutions, layers for gradient penalties."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from arena.core.errors import ArenaError

SLOPE = 0.2
# Keeps the second moment through a leaky ReLU (He et al. 2015, equation 15). It is part of the weights, where it is
# free, rather than a product with every activation.
LRELU_GAIN = math.sqrt(2 / (1 + SLOPE**2))
SMALLEST, LARGEST = 8, 256


def store_channels_last(network: nn.Module) -> None:
    """Store kernels (4-D) channels last, the fastest layout for oneDNN and cuDNN. Activations follow it."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def lrelu(images: Tensor) -> Tensor:
    """Apply a leaky ReLU of slope 0.2. Its gain is in the weights before it."""
    return F.leaky_relu(images, SLOPE)


def upsample(x: Tensor) -> Tensor:
    """Double the side bilinearly, in the dtype of ``x``. Autocast would convert to fp32 and back."""
    with torch.autocast(x.device.type, enabled=False):
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def sum_of_four(x: Tensor) -> Tensor:
    """Sum every 2 x 2 pixels: (B, C, H, W) -> (B, C, H/2, W/2), stored channels last.

    This is average pooling up to a factor. Forward and backward take a third of torch's time on a CPU.
    """
    x = x.permute(0, 2, 3, 1)
    even, odd = x.unflatten(1, (-1, 2)).unbind(2)
    even, odd = (even + odd).unflatten(2, (-1, 2)).unbind(3)
    return (even + odd).permute(0, 3, 1, 2)


def logits(head: nn.Module, features: Tensor) -> Tensor:
    """Map features (B, n) to logits (B,) by the last layer of a discriminator, in fp32: bf16 is too coarse."""
    with torch.autocast(features.device.type, enabled=False):
        return head(features.float()).squeeze(1)


def doublings(resolution: int) -> int:
    """Return how often a side of 4 pixels doubles to reach ``resolution``.

    >>> [doublings(resolution) for resolution in (8, 16, 256)]
    [1, 2, 6]

    Raises:
        ArenaError: if the resolution is not a power of two from 8 to 256.
    """
    if not SMALLEST <= resolution <= LARGEST or resolution & (resolution - 1):
        raise ArenaError(
            f"data.resolution={resolution}: a resolution the generator cannot make, "
            f"expected a power of two from {SMALLEST} to {LARGEST}"
        )
    return resolution.bit_length() - 3


def channels_at(resolution: int, width: int) -> int:
    """Return the channels at a resolution: ``width`` up to 16 pixels, then halved with every doubling, at least 8.

    >>> [channels_at(side, width=64) for side in (4, 8, 16, 32, 64, 128, 256)]
    [64, 64, 64, 32, 16, 8, 8]
    >>> channels_at(256, width=4)
    4
    """
    return max(min(width, width * 16 // resolution), min(width, 8))


class EqualisedLinear(nn.Module):
    """Linear layer with weights N(0, 1) / multiplier, scaled at run time (Karras et al. 2018, section 4.1).

    Under Adam every weight then learns at the same relative speed for any fan-in.

    Args:
        inputs: size of the input (B, inputs).
        outputs: size of the output (B, outputs).
        gain: of the activation that follows (``LRELU_GAIN``), or 1.
        bias: initial value of the bias.
        multiplier: of the learning rate; below 1 it slows the layer down.
    """

    def __init__(
        self, inputs: int, outputs: int, *, gain: float = 1.0, bias: float = 0.0, multiplier: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / multiplier))
        self.scale, self.multiplier = gain * multiplier / math.sqrt(inputs), multiplier

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs) to (B, outputs)."""
        bias = self.bias if self.multiplier == 1 else self.bias * self.multiplier
        return F.linear(x, self.weight * self.scale, bias)


class EqualisedConv(nn.Module):
    """Convolution that keeps the size, with an equalised learning rate; the arguments are as in ``EqualisedLinear``."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, gain: float = 1.0, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W)."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.weight.shape[-1] // 2)


class ModulatedConv(nn.Module):
    """Convolution whose kernel is scaled, for each image, by its style (StyleGAN2, equations 1 and 3).

    With style s_i and kernel w_oi the kernel of an image is w_oi s_i / sqrt(sum_i (w_oi s_i)^2). Scaling the
    activations before and after one shared kernel gives the same result, without a slow grouped convolution.
    Demodulation cancels any scale of the weights, so N(0, 1) weights need no run-time scale.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Map (B, inputs, H, W) and style (B, inputs) to (B, outputs, H, W)."""
        energy = F.linear(style.square(), self.weight.square().sum((2, 3)))
        demodulation = energy.mul(LRELU_GAIN**-2).add(1e-8).rsqrt()
        y = F.conv2d(x * _per_channel(style, x), self.weight, padding=self.weight.shape[-1] // 2)
        return y * _per_channel(demodulation, y)


class StyleLayer(nn.Module):
    """Modulated convolution, upsampling if the side doubles, noise, bias, leaky ReLU.

    StyleGAN2 upsamples by a transposed convolution. Here the kernel acts before the bilinear upsampling, on a quarter
    of the pixels.
    """

    def __init__(self, inputs: int, outputs: int, up: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs)
        self.up = up
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """Map (B, inputs, h, w), style (B, inputs) and noise (B or 1, 1, H, W) or None to (B, outputs, H, W)."""
        y = self.conv(x, style)
        y = y + self.bias.to(y.dtype)  # interpolation keeps it, and here the image is smaller
        if self.up:
            y = upsample(y)
        if noise is not None:
            y = y + (noise * self.noise_strength).to(y.dtype)
        return lrelu(y)


class ToImage(nn.Module):
    """Modulated 1x1 convolution to the channels of the image, without demodulation (StyleGAN2, figure 7)."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.scale = inputs**-0.5

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Map (B, inputs, H, W) and style (B, inputs) to (B, channels, H, W)."""
        return F.conv2d(x * _per_channel(style * self.scale, x), self.weight, self.bias)


def _per_channel(scale: Tensor, x: Tensor) -> Tensor:
    return scale[:, :, None, None].to(x.dtype)


# Layers that are differentiated twice, for gradient penalties.


class image_gradients(TorchFunctionMode):  # a context, named as a function
    """Make layers inside fast to differentiate twice; first gradients of convolutions reach activations only.

    A penalty on the gradient with respect to images needs the gradient of that gradient. torch computes the weights'
    part of it with image-sized kernels, group by group, which is slow. A Python Function also cannot know that the
    first gradient of the weights is unused (compare ``no_weight_gradients`` in StyleGAN2-ADA). Batch normalisation in
    eval mode is a product and a sum here, whose second derivatives are trivial, and torch's are slow.

    The context belongs to its thread. Convolutions of any other thread are as usual, and so are those whose padding is
    a word.
    """

    is_open = True

    def __exit__(self, *error: Any) -> None:
        """End the context. Gradients of its convolutions then reach the weights as well."""
        self.is_open = False
        super().__exit__(*error)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute convolutions and batch normalisation by the functions below, and all else as usual."""
        result, kwargs = NotImplemented, kwargs or {}
        if func is F.conv2d:
            result = self._conv2d(*args, **kwargs)
        elif func is F.batch_norm:
            result = self._batch_norm(*args, **kwargs)
        return func(*args, **kwargs) if result is NotImplemented else result

    def _conv2d(
        self,
        input: Tensor,  # noqa: A002  # the name in torch
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | str | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
    ) -> Tensor:
        """Compute a convolution with the same gradients as torch's, also under autocast."""
        if isinstance(padding, str) or input.ndim != 4:
            return NotImplemented
        x = input
        if torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
            dtype = torch.get_autocast_dtype(input.device.type)
            x, weight = x.to(dtype), weight.to(dtype)
        y = _Forward.apply(x, weight, _Geometry(_pair(stride), _pair(padding), _pair(dilation), groups, self))
        return y if bias is None else y + bias.to(y.dtype)[:, None, None]

    def _batch_norm(
        self,
        input: Tensor,  # noqa: A002  # the name in torch
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """Normalise by running statistics, at least in fp32, and return the dtype of the input."""
        if training or running_mean is None or running_var is None:
            return NotImplemented
        scale = (running_var + eps).rsqrt() if weight is None else weight * (running_var + eps).rsqrt()
        shift = -running_mean * scale if bias is None else bias - running_mean * scale
        scale, shift = (each.reshape(-1, *[1] * (input.ndim - 2)) for each in (scale, shift))
        return (input * scale + shift).to(input.dtype)


def _pair(value: int | Sequence[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


class _Geometry(NamedTuple):
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int
    context: image_gradients

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the convolution of x."""
        return F.conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)

    def backward(self, of_y: Tensor, x: Tensor, weight: Tensor, *, of_x: bool) -> Tensor:
        """Return the gradient of x or of the weight. Of the other tensor only shape and layout matter."""
        sizes = self.stride, self.padding, self.dilation, False, [0, 0], self.groups
        gradients = torch.ops.aten.convolution_backward(of_y, x, weight, None, *sizes, [of_x, not of_x, False])
        return gradients[0] if of_x else gradients[1]


# Each of the three maps is linear in both of its tensors, and its derivatives are the other two.


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return geometry.forward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (of_y,), (x, weight) = gradients, ctx.saved_tensors
        of_x = _OfInput.apply(of_y, weight, x, ctx.geometry) if ctx.needs_input_grad[0] else None
        use_weight = ctx.needs_input_grad[1] and not ctx.geometry.context.is_open
        return of_x, _OfWeight.apply(of_y, x, weight, ctx.geometry) if use_weight else None, None


class _OfInput(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, of_y: Tensor, weight: Tensor, x: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(of_y, weight)
        ctx.geometry = geometry
        return geometry.backward(of_y, x, weight, of_x=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (of_x,), (of_y, weight) = gradients, ctx.saved_tensors
        of_of_y = _Forward.apply(of_x, weight, ctx.geometry) if ctx.needs_input_grad[0] else None
        of_weight = _OfWeight.apply(of_y, of_x, weight, ctx.geometry) if ctx.needs_input_grad[1] else None
        return of_of_y, of_weight, None, None


class _OfWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, of_y: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(of_y, x)
        ctx.geometry = geometry
        return geometry.backward(of_y, x, weight, of_x=False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (of_weight,), (of_y, x) = gradients, ctx.saved_tensors
        of_of_y = _Forward.apply(x, of_weight, ctx.geometry) if ctx.needs_input_grad[0] else None
        of_x = _OfInput.apply(of_y, of_weight, x, ctx.geometry) if ctx.needs_input_grad[1] else None
        return of_of_y, of_x, None, None
