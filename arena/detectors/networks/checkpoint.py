"""Image classifiers as the Hugging Face hub has them: a folder with a network, its weights and how it wants images."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch.nn.functional as F
from torch import Tensor, nn

from arena.outside.transformers_files import from_files, reading

MODES = {0: "nearest", 1: "bicubic", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of filters, Lanczos by the nearest that torch has."""


class Preparation(NamedTuple):
    """What ``preprocessor_config.json`` asks for, of square images.

    Args:
        side: in pixels, to resize to; None for as they are.
        crop: of the middle, in pixels, after that; None for all of it.
        mode: of the resize.
        scale: of pixels of 0 to 255.
        mean: of each channel, subtracted from what that gives.
        deviation: of each channel.
    """

    side: int | None
    crop: int | None
    mode: str
    scale: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, asked: dict[str, Any]) -> Self:
        """Of the file's content, in the library's own defaults."""
        crop = _extent(asked["crop_size"]) if asked.get("do_center_crop") and asked.get("crop_size") else None
        side = _extent(asked["size"]) if asked.get("do_resize", True) and asked.get("size") else None
        if side and asked.get("crop_pct") and side < 384:  # as ConvNeXT's processor does below that
            side, crop = math.floor(side / asked["crop_pct"]), side
        normal = asked.get("do_normalize", True) and asked.get("image_mean")
        return cls(
            side=side,
            crop=crop,
            mode=MODES.get(asked.get("resample", 2), "bilinear"),
            scale=asked.get("rescale_factor", 1 / 255) if asked.get("do_rescale", True) else 1.0,
            mean=tuple(asked["image_mean"]) if normal else (0.0,),
            deviation=tuple(asked["image_std"]) if normal else (1.0,),
        )

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] as the network wants them."""
        x = (images + 1) * (127.5 * self.scale)
        x = resized(x, self.side, self.mode)
        if self.crop is not None:
            top, left = ((extent - self.crop) // 2 for extent in x.shape[-2:])
            x = x[..., top : top + self.crop, left : left + self.crop]
        mean, deviation = (x.new_tensor(each).view(-1, 1, 1) for each in (self.mean, self.deviation))
        return (x - mean) / deviation


class Checkpoint(nn.Module):
    """The network of a folder: images (B, C, H, W) to its logits (B, labels).

    Args:
        path: of the folder, with ``config.json`` and ``model.safetensors``; no code in it is run.
        key: of the configuration that names it.
        range: of the images it expects, black and white, where no ``preprocessor_config.json`` says so.

    Raises:
        ArenaError: where there is no such network.
    """

    def __init__(self, path: str, key: str, range: tuple[float, float]) -> None:
        super().__init__()
        expected = "a folder with the config.json and model.safetensors of an image classifier (nothing is downloaded)"
        with reading(key, path, expected):
            from transformers import AutoModelForImageClassification  # pyright: ignore[reportMissingImports]

            self.network = from_files(AutoModelForImageClassification, path)
            asks = Path(path).expanduser() / "preprocessor_config.json"
            self.preparation = Preparation.of(json.loads(asks.read_text())) if asks.is_file() else None
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
    """Images (B, C, side, side), antialiased; the same where they are so already, or ``side`` is None."""
    if side is None or images.shape[-2:] == (side, side):
        return images
    if mode == "nearest":
        return F.interpolate(images, size=(side, side), mode=mode)
    return F.interpolate(images, size=(side, side), mode=mode, antialias=True, align_corners=False)


def _extent(asked: int | dict[str, int]) -> int:
    """One side of what is named in several ways: images are square here."""
    if isinstance(asked, int):
        return asked
    return next(asked[name] for name in ("shortest_edge", "height", "longest_edge") if name in asked)
