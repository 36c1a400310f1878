"""Share what several techniques compute of one batch: crops, spectra, residuals."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")
GRID = 2
"""Crops of an image along either axis, where the image is larger than the crop."""


class _Memo:
    """Results computed of one batch, by function and arguments. Detectors that run in parallel wait for each other."""

    def __init__(self) -> None:
        self.lock, self.results, self.crops = threading.RLock(), dict[tuple[object, ...], Any](), ExitStack()


_MEMOS: dict[int, _Memo] = {}
"""By the identity of a batch, as long as its ``sharing`` block is open."""


@contextmanager
def sharing(*batches: Tensor) -> Iterator[None]:
    """Compute each ``shared`` function once for each of these very tensors, in all threads, until the block ends.

    A copy or a slice of a batch is another tensor and shares nothing. No result outlives the block.
    """
    with ExitStack() as opened:
        for images in batches:
            memo = _MEMOS[id(images)] = _Memo()
            opened.callback(_MEMOS.pop, id(images))
            opened.enter_context(memo.crops)
        yield


def shared(feature: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function of a batch, its first argument, and of hashable arguments. See ``sharing``."""

    @functools.wraps(feature)
    def once(*args: P.args, **kwargs: P.kwargs) -> T:
        memo = _MEMOS.get(id(args[0]))
        if memo is None:
            return feature(*args, **kwargs)
        key = (feature, args[1:], tuple(sorted(kwargs.items())))
        with memo.lock:
            if key not in memo.results:
                memo.results[key] = feature(*args, **kwargs)
            return memo.results[key]

    return once


def crops(images: Tensor, side: int) -> tuple[Tensor, ...]:
    """Evenly spaced crops (B, C, side, side) of native pixels of images (B, C, H, W); images that fit stay whole."""
    if images.shape[-1] <= side and images.shape[-2] <= side:
        return (images,)
    return _crops(images, side)


@shared
def _crops(images: Tensor, side: int) -> tuple[Tensor, ...]:
    tops, lefts = (_spaced(extent, side) for extent in images.shape[-2:])
    squares = tuple(images[..., top : top + side, left : left + side] for top in tops for left in lefts)
    if (memo := _MEMOS.get(id(images))) is None:
        return squares
    squares = tuple(square.clone() for square in squares)  # dense in memory, for all that compute on them
    memo.crops.enter_context(sharing(*squares))
    return squares


def _spaced(extent: int, side: int) -> list[int]:
    """Offsets of ``GRID`` crops that divide the free space between them evenly."""
    free = max(extent - side, 0)
    return sorted({round(free * (k + 0.5) / GRID) for k in range(GRID)})


def spectrum(images: Tensor) -> Tensor:
    """Unshifted 2-D FFT (B, C, H, W) of each channel, complex128: the FFT knows no bf16, and phases need digits."""
    with torch.autocast(images.device.type, enabled=False):
        return torch.fft.fft2(images.double())
