"""Share what several techniques compute of one batch: crops, spectra, residuals."""

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")
GRID = 2
"""Glimpses of an image along either axis, where it is larger than what a technique looks at."""


class _Memo:
    """What was computed of one batch, by function and arguments; techniques side by side wait for each other."""

    def __init__(self) -> None:
        self.lock, self.held = threading.RLock(), dict[tuple[object, ...], object]()


def share(images: Tensor) -> Tensor:
    """Mark a batch: whatever ``shared`` functions make of this very tensor is kept with it, as long as it lives."""
    images._arena_memo = _Memo()  # type: ignore[attr-defined]
    return images


def shared(feature: Callable[P, T]) -> Callable[P, T]:
    """A function of a batch (its first argument) and hashable arguments, computed once of a batch that is shared."""

    @functools.wraps(feature)
    def once(*args: P.args, **kwargs: P.kwargs) -> T:
        memo = getattr(args[0], "_arena_memo", None)
        if memo is None:
            return feature(*args, **kwargs)
        key = (feature, args[1:], tuple(sorted(kwargs.items())))
        with memo.lock:
            if key not in memo.held:
                memo.held[key] = feature(*args, **kwargs)
            return memo.held[key]

    return once


def crops(images: Tensor, side: int) -> tuple[Tensor, ...]:
    """Evenly spaced squares (B, C, side, side) of native pixels of images (B, C, H, W); themselves where they fit."""
    if images.shape[-1] <= side and images.shape[-2] <= side:
        return (images,)  # kept with the images, they would keep themselves alive
    return _squares(images, side)


@shared
def _squares(images: Tensor, side: int) -> tuple[Tensor, ...]:
    tops, lefts = (_spaced(extent, side) for extent in images.shape[-2:])
    squares = [images[..., top : top + side, left : left + side] for top in tops for left in lefts]
    if not hasattr(images, "_arena_memo"):
        return tuple(squares)
    return tuple(share(square.clone()) for square in squares)  # a view would hold the images that hold it


def _spaced(extent: int, side: int) -> list[int]:
    """Where ``GRID`` squares begin that divide the free space between them evenly."""
    free = max(extent - side, 0)
    return sorted({round(free * (k + 0.5) / GRID) for k in range(GRID)})


def spectrum(images: Tensor) -> Tensor:
    """Unshifted 2-D FFT (B, C, H, W), complex128, of each channel: the FFT knows no bf16, and phases want digits."""
    with torch.autocast(images.device.type, enabled=False):
        return torch.fft.fft2(images.double())
