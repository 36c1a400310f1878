"""Decode images on several threads, and cache them as safetensors files with notes on the sources that were skipped."""

import json
import logging
import os
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image, ImageOps
from rich.console import Console
from rich.progress import track
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from arena.core.errors import ArenaError
from arena.core.text import printable
from arena.data.opening import read_image_file

AHEAD = 64
"""Sources of a stream that are read ahead of the decoders."""
NAMED = 20
"""Skipped images that are listed by name; the others are only counted."""

Source = Path | bytes | Image.Image
"""A source of an image: a file, the content of a file, or an opened image."""

T = TypeVar("T")
S = TypeVar("S")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheEntry:
    """Content of a cache file: named tensors, and named lines of text."""

    tensors: dict[str, Tensor]
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def skipped(self) -> dict[str, str]:
        """Return the reason for every skipped source, by its name."""
        return json.loads(self.notes["skipped"])

    @property
    def formats(self) -> dict[str, int]:
        """Return the number of images stored in each format, by Pillow's names."""
        return json.loads(self.notes["formats"])

    def warn(self, resolution: int) -> None:
        """Warn of images that were skipped, or enlarged to ``resolution``."""
        skipped = self.skipped
        for name, reason in list(skipped.items())[:NAMED]:
            log.warning("skipped %r: %s", name, printable(reason))
        if len(skipped) > NAMED:
            log.warning("skipped %d more that are no images", len(skipped) - NAMED)
        if enlarged := int(self.notes["enlarged"]):
            message = "%d images are smaller than data.resolution=%d and were enlarged, which leaves traces"
            log.warning(message, enlarged, resolution)


def cached(file: Path, make: Callable[[], CacheEntry]) -> CacheEntry:
    """Read ``file``, or make its content and write it.

    The name of the file must determine its content. If several processes start at once, one makes the content and the
    others wait. The file is renamed into place, so that an interrupted process leaves no partial file.

    Raises:
        ArenaError: if the folder cannot be written to.
    """
    if (entry := _read(file)) is not None:
        return entry
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f"{file.name}.lock")):
            if (entry := _read(file)) is not None:
                return entry
            entry = make()
            part = file.with_name(f"{file.name}.part")
            save_file(entry.tensors, part, metadata=entry.notes)
            os.replace(part, file)
    except OSError as failure:
        raise ArenaError(f"cache_dir={file.parent}: expected a folder that can be written to ({failure})") from failure
    return entry


def _read(file: Path) -> CacheEntry | None:
    """Return the content, or None if the file is missing or damaged."""
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as content:
            names = content.keys()
            return CacheEntry({name: content.get_tensor(name) for name in names}, content.metadata() or {})
    except SafetensorError:
        return None


class Decoding(NamedTuple):
    """The usable images of a sequence of sources.

    Args:
        images: uint8 (N, C, R, R), in the order of their sources.
        failures: index of a source -> the reason that it could not be decoded.
        enlarged: number of images that were smaller than the resolution.
        formats: Pillow's name of a format -> number of images stored in it.
    """

    images: Tensor
    failures: dict[int, str]
    enlarged: int
    formats: dict[str, int]

    def cache_entry(self, names: Sequence[str], **tensors: Tensor) -> CacheEntry:
        """Return the content for the cache.

        Args:
            names: names of all sources, in their order.
            tensors: further tensors of the usable images, by name.
        """
        notes = {
            "skipped": json.dumps({names[k]: reason for k, reason in self.failures.items()}),
            "enlarged": str(self.enlarged),
            "formats": json.dumps(self.formats),
        }
        return CacheEntry({"images": self.images, **tensors}, notes)


class DecodedImage(NamedTuple):
    """One decoded image uint8 (H, W, 3) or (H, W), whether it was enlarged, and the format it was stored in."""

    pixels: NDArray[np.uint8]
    enlarged: bool
    format: str | None


def decode_images(
    sources: Iterable[Source],
    resolution: int,
    channels: int | None,
    *,
    crop: int | None = None,
    total: int | None = None,
    show_progress: bool = True,
) -> Decoding:
    """Decode every source that is an image, on several threads. Few sources of a stream are in memory at a time.

    Args:
        sources: files, their contents, or opened images.
        resolution: side in pixels.
        channels: 1, 3, or None: 1 if every image is grey (its three colours are equal), 3 otherwise.
        crop: side of the middle square that is kept, at most; None keeps the largest square.
        total: number of sources, for the progress bar.
        show_progress: whether to show a progress bar on a terminal.
    """

    def attempt(source: Source) -> DecodedImage | str:
        try:
            return decode(source, resolution, grey=channels == 1, crop=crop)
        except Image.UnidentifiedImageError:
            return "no image"
        except Exception as failure:  # on damaged bytes, Pillow's decoders raise exceptions of any type
            return " ".join(str(failure).split()) or type(failure).__name__

    # Pillow warns of damaged metadata, which is ignored, and of decompression bombs, which count as failures.
    # Filters hold for the whole process, so they are set around all threads.
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            stream = map_ahead(pool, attempt, sources)
            results = list(progress_bar(stream, "decoding images", total) if show_progress else stream)
        finally:  # when interrupted, drop the sources that wait
            pool.shutdown(cancel_futures=True)
    decoded = [result for result in results if isinstance(result, DecodedImage)]
    failures = {k: result for k, result in enumerate(results) if isinstance(result, str)}
    enlarged = sum(image.enlarged for image in decoded)
    formats = Counter(image.format for image in decoded if image.format is not None)
    if not decoded:
        images = torch.empty(0, channels or 3, resolution, resolution, dtype=torch.uint8)
    else:
        images = torch.from_numpy(np.stack([image.pixels for image in decoded]))
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        if channels is None and bool((images == images[:, :1]).all()):
            images = images[:, :1]
    return Decoding(images.contiguous(), failures, enlarged, dict(formats))


def map_ahead(pool: Executor, work: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """Yield ``work(item)`` in order, as ``pool.map`` does, but take only ``AHEAD`` items before their results."""
    started: deque[Future[T]] = deque()
    for item in items:
        started.append(pool.submit(work, item))
        if len(started) == AHEAD:
            yield started.popleft().result()
    while started:
        yield started.popleft().result()


def decode(source: Source, resolution: int, grey: bool = False, crop: int | None = None) -> DecodedImage:
    """Decode one image: turn it upright by its EXIF orientation, crop its middle square, resize it (Lanczos).

    Animations give their first frame, transparent pixels are put on white, and 16 bits are rounded to 8. Colour
    profiles are not applied.

    Raises:
        OSError: if a file is no regular file, or cannot be read.
        Exception: of any type that Pillow raises on bytes that are no image.
    """
    if not isinstance(source, Image.Image):
        source = Image.open(BytesIO(source if isinstance(source, bytes) else read_image_file(source)))
    with source:
        stored_format = source.format
        image = _to_rgb(ImageOps.exif_transpose(source))
    if grey:
        image = image.convert("L")
    side = min(*image.size, crop or max(image.size))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    if side != resolution:
        image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return DecodedImage(np.asarray(image), side < resolution, stored_format)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any of Pillow's modes to RGB, with three equal colours for grey images."""
    if image.mode.startswith("I"):  # 16 bits, although mode "I" could hold 32
        values = np.asarray(image).astype(np.float64).clip(0, 65535)
        image = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point image, whose range is unknown")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def progress_bar(items: Iterable[T], title: str, total: int | None = None) -> Iterable[T]:
    """Iterate over items, with a progress bar on stderr if it is a terminal."""
    console = Console(stderr=True)
    return track(items, title, total=total, console=console, disable=not console.is_terminal, transient=True)
