"""Read real images from a folder: find, decode, crop, resize and cache them."""

import hashlib
import json
import os
import re
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from rich.console import Console
from rich.progress import track
from torch import Tensor

from arena.core.errors import ArenaError, require
from arena.data.cache import CacheEntry, cached
from arena.data.reals import RealData, Reals

FOLDER_VERSION = 1
"""Part of the cache key. Raise it when the same files would give other pixels."""
AHEAD = 64
"""Sources of a stream that are read ahead of the decoders."""

Source = Path | bytes | Image.Image
"""A source of an image: a file, the content of a file, or an opened image."""

T = TypeVar("T")
S = TypeVar("S")


class ImageFolder(RealData):
    """Photographs in a folder and its subfolders, with 256 grey levels.

    Files of any extension are tried; hidden files are left out. The middle square is cropped and, if its side is
    not ``resolution``, resized with an antialiasing filter. Files that cannot be read as images are listed and skipped.
    Decoded images are cached under the names, sizes and dates of the files.

    Args:
        path: the folder.
        channels: 1 (grey), 3 (colour), or None: 1 if every image is grey, 3 otherwise.
        persons: regular expression with one group, searched in each file's path within the folder. The group names the
            person, and no person is in two parts of the split. None if persons are unknown.
        cache_dir: folder of the cache.

    Raises:
        ArenaError: if the folder is missing or has no usable image, or the expression does not fit.
    """

    name = "folder"

    def __init__(
        self,
        *,
        path: str | Path | None,
        resolution: int,
        channels: Literal[1, 3] | None,
        seed: int,
        planted_amplitude: float,
        persons: str | None,
        cache_dir: str | Path,
    ) -> None:
        self._persons = persons
        if persons is not None:
            try:
                groups = re.compile(persons).groups
            except re.error as failure:
                raise ArenaError(f"data.persons={persons}: expected a regular expression ({failure})") from failure
            require(groups == 1, "data.persons", persons, f"one group, found {groups}")
        super().__init__(
            resolution=resolution, channels=channels or 3, levels=256, seed=seed, planted_amplitude=planted_amplitude
        )
        # Decoded here, because the images decide the number of channels, and so that a bad folder fails at once.
        self._decoded = decode_folder("data", path, resolution, channels, cache_dir)
        self.channels = self._decoded.images.shape[1]

    def load(self) -> Reals:
        """Return the usable images; their ids count them in the order of their paths."""
        images, persons = self._decoded.images, None
        if self._persons is not None:
            groups = []
            for name in self._decoded.names:
                match = re.search(self._persons, name)
                if match is None or match.group(1) is None:
                    raise ArenaError(
                        f"data.persons={self._persons}: expected a match in every path, found none in {name!r}"
                    )
                groups.append(match.group(1))
            persons = np.unique(groups, return_inverse=True)[1].astype(np.int64)
        return Reals(images, np.arange(len(images), dtype=np.int64), persons=persons)

    def files(self) -> list[Path]:
        """Return the files of the usable images, in the order of their ids."""
        return self._decoded.files


@dataclass(frozen=True)
class DecodedFiles:
    """Usable images uint8 (N, C, R, R), their folder, and their paths within it."""

    images: Tensor
    folder: Path
    names: list[str]

    @property
    def files(self) -> list[Path]:
        """Return the images' files."""
        return [self.folder / name for name in self.names]


def decode_folder(
    group: str, path: str | Path | None, resolution: int, channels: int | None, cache_dir: str | Path
) -> DecodedFiles:
    """Decode every image in a folder and its subfolders, in the order of their paths.

    Args:
        group: config group of the path, ``data`` or ``generator``, for error messages.
        path: the folder.
        resolution: side in pixels.
        channels: 1, 3, or None: 1 if every image is grey, 3 otherwise.
        cache_dir: folder of the cache.

    Raises:
        ArenaError: if the folder is missing or has no usable image.
    """
    key = f"{group}.path"
    if path is None:
        raise ArenaError(f"{key}=null: {group}=folder needs the folder of the images, as in {key}=photos")
    folder = Path(path).expanduser()
    files = find_files(folder, key)
    decoded = decode_files(folder, files, resolution, channels, Path(cache_dir).expanduser())
    if len(decoded.images) == 0:
        raise ArenaError(f"{key}={path}: expected images, found none among {len(files)} files")
    return decoded


def find_files(folder: Path, key: str) -> list[Path]:
    """Find all files in a folder and its subfolders, sorted by path.

    Hidden files and folders are left out. Linked folders are followed, each once.

    Args:
        folder: the folder.
        key: config key or argument that named it, for error messages.

    Raises:
        ArenaError: naming the key, if it is no folder.
    """
    if not folder.is_dir():
        raise ArenaError(
            f"{key}={folder}: expected a folder of images, found {'a file' if folder.exists() else 'nothing'}"
        )
    files: list[Path] = []
    visited: set[str] = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(here)) in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(files, key=lambda file: file.relative_to(folder).as_posix())


def decode_files(
    folder: Path,
    files: Sequence[Path],
    resolution: int,
    channels: int | None,
    cache_dir: Path,
    crop: int | None = None,
) -> DecodedFiles:
    """Decode files of a folder, or read them from the cache; warn of skipped files in both cases.

    Args:
        folder: folder of all files.
        files: the files, in the order of the images.
        resolution: side in pixels.
        channels: 1, 3, or None: 1 if every image is grey, 3 otherwise.
        cache_dir: folder of the cache.
        crop: side of the middle square that is kept, at most; None keeps the largest square.
    """
    names = [file.relative_to(folder).as_posix() for file in files]
    key = hashlib.blake2b(f"{FOLDER_VERSION}|{resolution}|{channels}|{crop}".encode(), digest_size=12)
    for name, file in zip(names, files, strict=True):
        state = file.stat() if file.exists() else None
        key.update(os.fsencode(name) + f"|{state.st_size}|{state.st_mtime_ns}\n".encode() if state else b"gone\n")
    entry = cached(
        cache_dir / f"folder-{key.hexdigest()}.safetensors",
        lambda: decode_images(files, resolution, channels, crop=crop, total=len(files)).cache_entry(names),
    )
    entry.warn(resolution)
    skipped = entry.skipped
    return DecodedFiles(entry.tensors["images"], folder, [name for name in names if name not in skipped])


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
        Exception: of any type that Pillow raises on bytes that are no image.
    """
    if not isinstance(source, Image.Image):
        source = Image.open(BytesIO(source) if isinstance(source, bytes) else source)
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
