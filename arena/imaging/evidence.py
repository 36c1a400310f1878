"""The evidence path: the one road from an image to any detector, and to the GAN's own discriminator."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from arena.core.errors import ArenaError
from arena.imaging.images import on_levels, straight_through, to_float, to_uint8


@dataclass(frozen=True)
class Evidence:
    """What is done to every image, real or fake, before anyone judges it (rule of evidence 1).

    In order: rounding to the data's grey levels, then an antialiased resize, then JPEG. Gradients pass the rounding
    straight through and pass the real codec as kornia's differentiable JPEG does (backward-pass differentiable
    approximation, Athalye, Carlini & Wagner 2018, section 4.1).

    Args:
        levels: grey levels of the data, 2 to 256.
        jpeg: quality 1 to 100 of the codec, or None for no codec.
        resize: side in pixels to resize to, or None to keep the size.

    Raises:
        ArenaError: where a value is out of range.
    """

    levels: int = 256
    jpeg: int | None = None
    resize: int | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= 256:
            raise ArenaError(f"evidence.levels={self.levels}: expected 2 to 256 grey levels")
        if self.jpeg is not None and not 1 <= self.jpeg <= 100:
            raise ArenaError(f"evidence.jpeg={self.jpeg}: expected a quality from 1 to 100, or null")
        if self.resize is not None and self.resize < 8:
            raise ArenaError(f"evidence.resize={self.resize}: expected at least 8 pixels, or null")

    def resolution(self, resolution: int) -> int:
        """The side in pixels of what detectors see, given the side of the data."""
        return self.resize or resolution

    def __call__(self, images: Tensor) -> Tensor:
        """Float images (B, C, H, W) in [-1, 1] as every judge sees them; differentiable."""
        images = straight_through(images, on_levels(images, self.levels))
        if self.resize is not None:
            size = (self.resize, self.resize)
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
            images = straight_through(images, on_levels(images, self.levels))
        if self.jpeg is not None:
            images = _jpeg(images, self.jpeg)
        return images

    def seen(self, images_uint8: Tensor) -> Tensor:
        """uint8 images as they come out of the path, kept as uint8: what ``as_seen`` turns back without a trace."""
        return to_uint8(self(to_float(images_uint8)))

    def as_seen(self, seen: Tensor) -> Tensor:
        """Float images in [-1, 1] that came down the path, of what ``seen`` kept: bit for bit the path's own."""
        return on_levels(to_float(seen), self.levels if self.jpeg is None else 256)


def _jpeg(images: Tensor, quality: int) -> Tensor:
    """Values of the real codec (Pillow, 4:2:0), gradient of kornia's differentiable one."""
    coded = codec(images.detach(), quality)
    if not images.requires_grad:
        return coded
    from kornia.enhance import jpeg_codec_differentiable  # slow to import, needed only by an attack through JPEG

    channels = images.shape[1]
    colour = images.expand(-1, 3, -1, -1) if channels == 1 else images
    factor = torch.full((len(images),), float(quality), device=images.device)
    smooth = jpeg_codec_differentiable(colour.add(1).div(2), factor).mul(2).sub(1)
    return straight_through(smooth.mean(1, keepdim=True) if channels == 1 else smooth, coded)


def codec(images: Tensor, quality: int) -> Tensor:
    """Through libjpeg and back, one image at a time: the codec everyone uses has no batch mode."""
    decoded = []
    for pixels in to_uint8(images).permute(0, 2, 3, 1).cpu().numpy():
        buffer = BytesIO()
        Image.fromarray(pixels.squeeze()).save(buffer, "JPEG", quality=quality)
        decoded.append(np.asarray(Image.open(buffer)).reshape(pixels.shape))
    stacked = torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2)
    return to_float(stacked).to(images.device, images.dtype)
