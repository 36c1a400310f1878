"""Convolution whose gradient can itself be differentiated at the price of convolutions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_towards_images = False


@contextmanager
def towards_images() -> Iterator[None]:
    """Within, convolutions are made to be differentiated twice, and first gradients go to activations alone.

    A penalty on the gradient with respect to images needs the gradient of that gradient. torch finds the weights' part
    of it by convolving with kernels as large as an image, group by group; and a Function in Python cannot know that in
    the first gradient nobody wants the weights' (StyleGAN2-ADA has ``no_weight_gradients`` for that).
    """
    global _towards_images
    outside, _towards_images = _towards_images, True
    try:
        yield
    finally:
        _towards_images = outside


class Convolution(nn.Conv2d):
    """torch's, with ``conv2d`` of this module; square kernels, zero padding, no dilation."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H', W')."""
        (stride, _), padding = self.stride, int(self.padding[0])
        return conv2d(input, self.weight, self.bias, stride=stride, padding=padding, groups=self.groups)


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, padding: int = 0, groups: int = 1
) -> Tensor:
    """What ``torch.nn.functional.conv2d`` gives, with the same gradients, under autocast too."""
    if not _towards_images:
        return F.conv2d(x, weight, bias, stride, padding, groups=groups)
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
    y = _Forward.apply(x, weight, _Geometry(stride, padding, groups))
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]


class _Geometry(NamedTuple):
    stride: int
    padding: int
    groups: int

    def backward(self, of_y: Tensor, x: Tensor, weight: Tensor, *, of_x: bool) -> Tensor:
        """The gradient of x or that of the weight; of the other, only shape and layout matter."""
        pair = [[side, side] for side in (self.stride, self.padding, 1)]
        mask = [of_x, not of_x, False]
        found = torch.ops.aten.convolution_backward(of_y, x, weight, None, *pair, False, [0, 0], self.groups, mask)
        return found[0] if of_x else found[1]


# Each of the three maps is linear in both of its tensors, and its derivatives are the other two.


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return F.conv2d(x, weight, None, geometry.stride, geometry.padding, groups=geometry.groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (of_y,), (x, weight) = gradients, ctx.saved_tensors
        of_x = _OfInput.apply(of_y, weight, x, ctx.geometry) if ctx.needs_input_grad[0] else None
        wanted = ctx.needs_input_grad[1] and not _towards_images
        return of_x, _OfWeight.apply(of_y, x, weight, ctx.geometry) if wanted else None, None


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
