"""Load networks of the transformers library from local safetensors. No code of a model is run."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.core.errors import ArenaError

NOTHING_IS_DOWNLOADED = "or a name in the hub's local cache (nothing is downloaded)"
MODES = {0: "nearest", 1: "bicubic", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of filters; Lanczos (1) becomes the nearest filter that torch has."""


@contextmanager
def reading(key: str, path: str, expected: str) -> Iterator[None]:
    """Turn errors of the library about ``key=path`` into one line, and silence its messages inside the context.

    Raises:
        ArenaError: if the library is not installed, or cannot build a network from the files.
    """
    try:
        import transformers  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ArenaError(f"{key}={path}: expected the extra `features` to be installed") from error
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise ArenaError(f"{key}={path}: expected {expected}") from error
    finally:
        transformers.logging.set_verbosity(verbosity)


def folder_of(path: str) -> Path:
    """Return the folder itself, or the folder of that name in the hub's local cache.

    Raises:
        OSError, ValueError: if there is neither.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download  # pyright: ignore[reportMissingImports]

    return Path(snapshot_download(path, local_files_only=True))


def files_of(path: str) -> list[Path]:
    """Return the files of a network: its configuration and its weights."""
    folder = folder_of(path)
    return sorted(file for ending in ("*.json", "*.safetensors") for file in folder.glob(ending))


def from_files(kind: Any, path: str) -> Any:
    """Return a network of that class of transformers, in fp32 and eval mode.

    Raises:
        ValueError: if weights are missing, which the library would draw at random.
    """
    network, report = kind.from_pretrained(
        folder_of(path),
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
        dtype=torch.float32,
    )
    if report["missing_keys"]:
        raise ValueError(f"{len(report['missing_keys'])} weights are missing")
    return network.eval()


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
        value_range: values of black and white, used where there is no ``preprocessor_config.json``.

    Raises:
        ArenaError: where there is no such network.
    """

    def __init__(self, path: str, value_range: tuple[float, float]) -> None:
        super().__init__()
        expected = "a folder with the config.json and model.safetensors of an image classifier (nothing is downloaded)"
        with reading("path", path, expected):
            from transformers import AutoModelForImageClassification  # pyright: ignore[reportMissingImports]

            self.network = from_files(AutoModelForImageClassification, path)
            settings = Path(path).expanduser() / "preprocessor_config.json"
            self.preparation = Preparation.of(json.loads(settings.read_text())) if settings.is_file() else None
        self.black, self.white = value_range
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
