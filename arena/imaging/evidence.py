"""Define the evidence path, which every image takes to a detector or to the GAN's discriminator."""

from dataclasses import dataclass
from io import BytesIO
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field
from torch import Tensor

from arena.imaging.images import on_levels, straight_through, to_float, to_uint8


@dataclass(frozen=True)
class Evidence:
    """Process every image, real or fake, in the same way before it is judged (rule of evidence 1).

    The steps are rounding to the data's grey levels, an antialiased resize, and JPEG. The gradient of rounding is the
    identity. The gradient of the codec is that of kornia's differentiable JPEG (backward-pass differentiable
    approximation, Athalye, Carlini & Wagner 2018, section 4.1).

    Args:
        levels: grey levels of the data.
        jpeg: quality of the codec, None for no codec.
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
    from kornia.enhance import jpeg_codec_differentiable  # slow to import, and needed only by an attack through JPEG

    channels = images.shape[1]
    colour = images.expand(-1, 3, -1, -1) if channels == 1 else images
    factor = torch.full((len(images),), float(quality), device=images.device)
    smooth = jpeg_codec_differentiable(colour.add(1).div(2), factor).mul(2).sub(1)
    return straight_through(smooth.mean(1, keepdim=True) if channels == 1 else smooth, coded)


def codec(images: Tensor, quality: int) -> Tensor:
    """Return images coded and decoded by libjpeg, one by one, since it has no batch mode."""
    decoded = []
    for pixels in to_uint8(images).permute(0, 2, 3, 1).cpu().numpy():
        buffer = BytesIO()
        Image.fromarray(pixels.squeeze()).save(buffer, "JPEG", quality=quality)
        decoded.append(np.asarray(Image.open(buffer)).reshape(pixels.shape))
    stacked = torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2)
    return to_float(stacked).to(images.device, images.dtype)
