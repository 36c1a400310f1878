"""From files to square uint8 images, in parallel."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from arena.data.progress import progress


class Pixels(NamedTuple):
    """One decoded image, uint8 (H, W, 3) or (H, W), and whether it had to be enlarged."""

    values: NDArray[np.uint8]
    enlarged: bool


class Decoding(NamedTuple):
    """Usable images in the order of their files; why each other file failed, by its place; how many were enlarged."""

    images: Tensor
    failures: dict[int, str]
    enlarged: int


def decode_all(files: Sequence[Path], resolution: int, channels: int | None) -> Decoding:
    """Decode every file that is an image.

    Args:
        files: any files.
        resolution: side in pixels.
        channels: 1, 3, or None: 1 if every image is grey, else 3. Grey is what has three equal colours everywhere.

    Returns:
        Images uint8 (N, C, resolution, resolution), the failures and the number of enlarged images.
    """

    def attempt(file: Path) -> Pixels | str:
        try:
            return decode(file, resolution, grey=channels == 1)
        except Exception as failure:  # the decoders of forty formats raise whatever they like on bad bytes
            return _reason(failure)

    # Pillow releases the interpreter lock while it decodes. Its warnings are about damaged metadata, but for the one of
    # a decompression bomb, which counts as a failure; filters are the process's, so they are set around all threads.
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            results = list(progress(pool.map(attempt, files), "decoding images", total=len(files)))
        finally:  # interrupted: what has not begun is given up
            pool.shutdown(cancel_futures=True)
    decoded = [result for result in results if isinstance(result, Pixels)]
    failures = {k: result for k, result in enumerate(results) if isinstance(result, str)}
    return Decoding(_stack(decoded, resolution, channels), failures, sum(image.enlarged for image in decoded))


def _stack(decoded: list[Pixels], resolution: int, channels: int | None) -> Tensor:
    if not decoded:
        return torch.empty(0, channels or 3, resolution, resolution, dtype=torch.uint8)
    images = torch.from_numpy(np.stack([image.values for image in decoded]))
    if images.ndim == 3:
        return images[:, None]
    images = images.permute(0, 3, 1, 2)
    if channels is None and bool((images == images[:, :1]).all()):
        images = images[:, :1]
    return images.contiguous()


def decode(file: Path, resolution: int, grey: bool = False) -> Pixels:
    """Decode one image: upright by its EXIF orientation, its middle square, resized by Lanczos' antialiasing filter.

    The first frame of an animation; transparency over white; 16 bits to 8 by rounding. Colour profiles are not applied.

    Raises:
        Exception: whatever Pillow makes of a file that is no image.
    """
    with Image.open(file) as opened:
        image = _eight_bits(ImageOps.exif_transpose(opened))
    if grey:
        image = image.convert("L")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    if side != resolution:
        image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return Pixels(np.asarray(image), side < resolution)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes to RGB, three equal colours where it is grey."""
    if image.mode.startswith("I"):  # 16 bits, though mode "I" could hold 32
        values = np.asarray(image).astype(np.float64).clip(0, 65535)
        image = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point image, whose range is unknown")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _reason(failure: Exception) -> str:
    """One line that says why."""
    if isinstance(failure, Image.UnidentifiedImageError):
        return "no image"
    return " ".join(str(failure).split()) or type(failure).__name__
