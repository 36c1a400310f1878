"""Process images: the evidence path to detectors and to the GAN's discriminator, and degradations in front of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from kornia.enhance import jpeg_codec_differentiable
from kornia.filters import gaussian_blur2d
from PIL import Image
from pydantic import Field
from torch import Tensor

from arena.core.degradations import LADDERS, Degradation
from arena.imaging.images import on_levels, straight_through, to_float, to_uint8

CHUNK = 1024
"""Images degraded at once."""


@dataclass(frozen=True)
class Evidence:
    """Process every image, real or fake, in the same way before it is judged (rule of evidence 1).

    The steps are rounding to the data's grey levels, an antialiased resize, and JPEG. The gradient of rounding is the
    identity. The gradient of the codec is that of kornia's differentiable JPEG (backward-pass differentiable
    approximation, Athalye, Carlini & Wagner 2018, section 4.1).

    Args:
        levels: grey levels of the data.
        jpeg: quality, None for no codec.
        resize: side in pixels, None to keep the size.
    """

    levels: Annotated[int, Field(ge=2, le=256)] = 256
    jpeg: Annotated[int, Field(ge=1, le=100)] | None = None
    resize: Annotated[int, Field(ge=8)] | None = None

    def resolution(self, resolution: int) -> int:
        """Return the side in pixels of images after the path, given the side of the data."""
        return self.resize or resolution

    def __call__(self, images: Tensor) -> Tensor:
        """Return float images (B, C, H, W) in [-1, 1] after the path; differentiable."""
        images = straight_through(images, on_levels(images, self.levels))
        if self.resize is not None:
            size = (self.resize, self.resize)
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
            images = straight_through(images, on_levels(images, self.levels))
        if self.jpeg is not None:
            images = _jpeg(images, self.jpeg)
        return images

    def seen(self, images_uint8: Tensor) -> Tensor:
        """Return uint8 images after the path, as uint8. ``as_seen`` turns them back without loss."""
        return to_uint8(self(to_float(images_uint8)))

    def as_seen(self, seen: Tensor) -> Tensor:
        """Return the result of ``seen`` as float images in [-1, 1], equal to those of the path to the bit."""
        return on_levels(to_float(seen), self.levels if self.jpeg is None else 256)


def _jpeg(images: Tensor, quality: int) -> Tensor:
    """Return the values of the real codec (Pillow, 4:2:0) with the gradient of kornia's differentiable one."""
    coded = codec(images.detach(), quality)
    if not images.requires_grad:
        return coded
    channels = images.shape[1]
    colour = images.expand(-1, 3, -1, -1) if channels == 1 else images
    factor = torch.full((len(images),), float(quality), device=images.device)
    smooth = jpeg_codec_differentiable(colour.add(1).div(2), factor).mul(2).sub(1)
    return straight_through(smooth.mean(1, keepdim=True) if channels == 1 else smooth, coded)


def codec(images: Tensor, quality: int | Sequence[int]) -> Tensor:
    """Return images coded and decoded by Pillow's libjpeg, all in one quality or each in its own."""
    decoded = []
    qualities = [quality] * len(images) if isinstance(quality, int) else quality
    for pixels, of_image in zip(to_uint8(images).permute(0, 2, 3, 1).cpu().numpy(), qualities, strict=True):
        buffer = BytesIO()
        Image.fromarray(pixels.squeeze()).save(buffer, "JPEG", quality=of_image)
        decoded.append(np.asarray(Image.open(buffer)).reshape(pixels.shape))
    stacked = torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2)
    return to_float(stacked).to(images.device, images.dtype)


def degraded(images: Tensor, kind: Degradation, level: float, levels: int, seed: int) -> Tensor:
    """Return degraded images, before the evidence path, to measure the margin of detection.

    Args:
        images: uint8 (N, C, H, W).
        kind: white Gaussian noise, Gaussian blur, JPEG, or antialiased down-scaling and scaling up again.
        level: in the unit that ``LADDERS`` names.
        levels: grey levels of the data, which the result is rounded to.
        seed: seed of the noise. At every level, image i has the same noise at another strength.

    Returns:
        uint8 (N, C, H, W).
    """
    if level == LADDERS[kind].none:
        return images
    draws = torch.Generator().manual_seed(seed)
    parts = [_degrade(to_float(part), kind, level, draws) for part in images.split(CHUNK)]
    return torch.cat([to_uint8(on_levels(part, levels)) for part in parts])


def _degrade(images: Tensor, kind: Degradation, level: float, draws: torch.Generator) -> Tensor:
    if kind == "noise":
        return images + torch.randn(images.shape, generator=draws) * (level / 127.5)
    if kind == "blur":
        kernel = 2 * ceil(3 * level) + 1
        return gaussian_blur2d(images, kernel, (level, level), border_type="replicate")
    if kind == "jpeg":
        return codec(images, round(level))
    height, width = images.shape[-2:]
    small = (max(1, round(height / level)), max(1, round(width / level)))
    shrunk = F.interpolate(images, size=small, mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(shrunk, size=(height, width), mode="bilinear", align_corners=False)
