"""Convert between ranges and grey levels. Images are float in [-1, 1], shape (B, C, H, W), if no name says uint8.

A data set with fewer than 256 grey levels (17 for scikit-learn's digits) is stored on evenly spaced bytes, so that the
round trip level -> uint8 -> float -> level is exact.
"""

from typing import TypedDict

import torch
from torch import Tensor


class ImageShape(TypedDict):
    """Side in pixels, channels (1 or 3) and grey levels of the data, as keywords of every generator and detector."""

    resolution: int
    channels: int
    levels: int


def to_float(images_uint8: Tensor) -> Tensor:
    """Convert uint8 (B, C, H, W) to float32 in [-1, 1]."""
    return images_uint8.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Convert float in [-1, 1] to uint8, rounded to the nearest of 256 values."""
    return images.float().add(1.0).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)


def on_levels(images: Tensor, levels: int) -> Tensor:
    """Round to ``levels`` evenly spaced grey levels of [-1, 1], with values outside clipped; no gradient."""
    half = (levels - 1) / 2
    return images.clamp(-1.0, 1.0).add(1.0).mul(half).round().div(half).sub(1.0)


class _StraightThrough(torch.autograd.Function):
    """Return exactly ``value``. ``images + (value - images).detach()`` would leave a rounding error."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, images: Tensor, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[0], None


def straight_through(images: Tensor, value: Tensor) -> Tensor:
    """Return ``value`` with the gradient of ``images`` (Bengio, Leonard & Courville 2013)."""
    return _StraightThrough.apply(images, value)
