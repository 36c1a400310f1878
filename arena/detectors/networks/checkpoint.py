"""Image classifiers of the Hugging Face hub: a folder with the network, its weights and its preprocessing."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch.nn.functional as F
from torch import Tensor, nn

from arena.outside.transformers_files import from_files, reading

MODES = {0: "nearest", 1: "bicubic", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of filters; Lanczos (1) becomes the nearest filter that torch has."""


class Preparation(NamedTuple):
    """The preprocessing that ``preprocessor_config.json`` describes, of square images.

    Args:
        side: in pixels, to resize to; None to keep the size.
        crop: side of the centre crop after that, in pixels; None to keep everything.
        mode: interpolation of the resize.
        scale: factor of pixels of 0 to 255.
        mean: of each channel, subtracted after scaling.
        deviation: of each channel.
    """

    side: int | None
    crop: int | None
    mode: str
    scale: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Self:
        """Read the content of the file, with the defaults of the library."""
        crop = _extent(settings["crop_size"]) if settings.get("do_center_crop") and settings.get("crop_size") else None
        side = _extent(settings["size"]) if settings.get("do_resize", True) and settings.get("size") else None
        if side and settings.get("crop_pct") and side < 384:  # as ConvNeXT's processor does below that
            side, crop = math.floor(side / settings["crop_pct"]), side
        normal = settings.get("do_normalize", True) and settings.get("image_mean")
        return cls(
            side=side,
            crop=crop,
            mode=MODES.get(settings.get("resample", 2), "bilinear"),
            scale=settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0,
            mean=tuple(settings["image_mean"]) if normal else (0.0,),
            deviation=tuple(settings["image_std"]) if normal else (1.0,),
        )

    def __call__(self, images: Tensor) -> Tensor:
        """Preprocessed images of images (B, C, H, W) in [-1, 1]."""
        x = (images + 1) * (127.5 * self.scale)
        x = resized(x, self.side, self.mode)
        if self.crop is not None:
            top, left = ((extent - self.crop) // 2 for extent in x.shape[-2:])
            x = x[..., top : top + self.crop, left : left + self.crop]
        mean, deviation = (x.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.deviation))
        return (x - mean) / deviation


class Checkpoint(nn.Module):
    """The network of a folder: images (B, C, H, W) in [-1, 1] to its logits (B, labels).

    Args:
        path: folder with ``config.json`` and ``model.safetensors``; no code in it is run.
        key: of the configuration that names the folder.
        range: values of black and white, used where there is no ``preprocessor_config.json``.

    Raises:
        ArenaError: where there is no such network.
    """

    def __init__(self, path: str, key: str, range: tuple[float, float]) -> None:
        super().__init__()
        expected = "a folder with the config.json and model.safetensors of an image classifier (nothing is downloaded)"
        with reading(key, path, expected):
            from transformers import AutoModelForImageClassification  # pyright: ignore[reportMissingImports]

            self.network = from_files(AutoModelForImageClassification, path)
            settings = Path(path).expanduser() / "preprocessor_config.json"
            self.preparation = Preparation.of(json.loads(settings.read_text())) if settings.is_file() else None
        self.black, self.white = range
        side = getattr(self.network.config, "image_size", None)
        self.side = side if isinstance(side, int) else None
        self.planes: int = getattr(self.network.config, "num_channels", 3)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, labels); differentiable."""
        if images.shape[1] == 1:
            images = images.expand(-1, self.planes, -1, -1)
        if self.preparation is not None:
            pixels = self.preparation(images)
        else:
            pixels = resized((images + 1) * ((self.white - self.black) / 2) + self.black, self.side, "bicubic")
        return self.network(pixel_values=pixels).logits


def resized(images: Tensor, side: int | None, mode: str) -> Tensor:
    """Images (B, C, side, side), antialiased; unchanged where they have that size or ``side`` is None."""
    if side is None or images.shape[-2:] == (side, side):
        return images
    if mode == "nearest":
        return F.interpolate(images, size=(side, side), mode=mode)
    return F.interpolate(images, size=(side, side), mode=mode, antialias=True, align_corners=False)


def _extent(size: int | dict[str, int]) -> int:
    """One side of a square size, which the library names in several ways."""
    if isinstance(size, int):
        return size
    return next(size[name] for name in ("shortest_edge", "height", "longest_edge") if name in size)
