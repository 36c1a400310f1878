"""Read real images from a folder of files: find, decode, crop, resize and cache them."""

import hashlib
import json
import logging
import os
import re
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
from arena.data.reals import RealData, Reals

Source = Path | bytes | Image.Image
"""What an image is decoded from: a file, the content of one, or what Pillow has opened already."""

# Sources read ahead of the decoders: those of a stream are as large as the files they were.
AHEAD = 64

T = TypeVar("T")
S = TypeVar("S")


class Pixels(NamedTuple):
    """One decoded image, uint8 (H, W, 3) or (H, W); whether it had to be enlarged; the format it was stored in."""

    values: NDArray[np.uint8]
    enlarged: bool
    format: str | None


class Decoding(NamedTuple):
    """Usable images in the order of their sources, and what is to be said of them.

    ``failures`` says why each other source failed, by its place; ``enlarged`` how many images were smaller than asked
    for; ``formats`` how many were stored as what, by Pillow's names.
    """

    images: Tensor
    failures: dict[int, str]
    enlarged: int
    formats: dict[str, int]


def decode_all(
    sources: Iterable[Source],
    resolution: int,
    channels: int | None,
    crop: int | None = None,
    total: int | None = None,
    shown: bool = True,
) -> Decoding:
    """Decode every source that is an image; of a stream, only a few are held at a time.

    Args:
        sources: files, their contents, or opened images.
        resolution: side in pixels.
        channels: 1, 3, or None: 1 if every image is grey, else 3. Grey is what has three equal colours everywhere.
        crop: side of the middle square that is kept, at most; None: the largest there is.
        total: how many sources there are, for the progress bar.
        shown: whether there is one.

    Returns:
        Images uint8 (N, C, resolution, resolution), and what is to be said of them.
    """

    def attempt(source: Source) -> Pixels | str:
        try:
            return decode(source, resolution, grey=channels == 1, crop=crop)
        except Exception as failure:  # the decoders of forty formats raise whatever they like on bad bytes
            return _reason(failure)

    # Pillow releases the interpreter lock while it decodes. Its warnings are about damaged metadata, but for the one of
    # a decompression bomb, which counts as a failure; filters are the process's, so they are set around all threads.
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            decoded_ahead = ahead(pool, attempt, sources)
            results = list(progress(decoded_ahead, "decoding images", total=total) if shown else decoded_ahead)
        finally:  # interrupted: what has not begun is given up
            pool.shutdown(cancel_futures=True)
    decoded = [result for result in results if isinstance(result, Pixels)]
    failures = {k: result for k, result in enumerate(results) if isinstance(result, str)}
    enlarged = sum(image.enlarged for image in decoded)
    formats = Counter(image.format for image in decoded if image.format is not None)
    return Decoding(_stack(decoded, resolution, channels), failures, enlarged, dict(formats))


def ahead(pool: Executor, work: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """A pool's map that takes no more than ``AHEAD`` items before their results are asked for; in order, as map is."""
    begun: deque[Future[T]] = deque()
    for item in items:
        begun.append(pool.submit(work, item))
        if len(begun) == AHEAD:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


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


def decode(source: Source, resolution: int, grey: bool = False, crop: int | None = None) -> Pixels:
    """Decode one image: upright by its EXIF orientation, its middle square, resized by Lanczos' antialiasing filter.

    The first frame of an animation; transparency over white; 16 bits to 8 by rounding. Colour profiles are not applied.

    Raises:
        Exception: whatever Pillow makes of what is no image.
    """
    with _opened(source) as opened:
        form = opened.format
        image = _eight_bits(ImageOps.exif_transpose(opened))
    if grey:
        image = image.convert("L")
    side = min(*image.size, crop or max(image.size))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    if side != resolution:
        image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return Pixels(np.asarray(image), side < resolution, form)


def _opened(source: Source) -> Image.Image:
    if isinstance(source, Image.Image):
        return source
    return Image.open(BytesIO(source) if isinstance(source, bytes) else source)


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


@dataclass(frozen=True)
class Cached:
    """What a cache file holds: named tensors, and named lines of text beside them."""

    tensors: dict[str, Tensor]
    notes: dict[str, str] = field(default_factory=dict)


def cached(file: Path, make: Callable[[], Cached]) -> Cached:
    """Read ``file``, or make its content and write it.

    The name of the file must say everything that determines its content. Of several processes one makes it and the
    others wait; it appears whole or not at all, so that a kill leaves nothing half-written behind.

    Raises:
        ArenaError: where the folder cannot be written to.
    """
    if (found := _read(file)) is not None:
        return found
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f"{file.name}.lock")):
            if (found := _read(file)) is not None:
                return found
            made = make()
            _write(file, made)
    except OSError as failure:
        raise ArenaError(f"cache_dir={file.parent}: expected a folder that can be written to ({failure})") from failure
    return made


def _read(file: Path) -> Cached | None:
    """The content, or None where there is none that can be read."""
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as content:
            names = content.keys()
            return Cached({name: content.get_tensor(name) for name in names}, content.metadata() or {})
    except SafetensorError:  # damaged: made anew
        return None


def _write(file: Path, content: Cached) -> None:
    """Beside the file first, then into place in one step; under the lock nobody else writes there."""
    part = file.with_name(f"{file.name}.part")
    save_file(content.tensors, part, metadata=content.notes)
    os.replace(part, file)


# Skipped images named one by one before the rest is only counted.
NAMED = 20

log = logging.getLogger(__name__)


def with_skipped(decoding: Decoding, names: Sequence[str], **beside: Tensor) -> Cached:
    """What the cache keeps of a decoding.

    Args:
        decoding: the images, and what became of the other sources.
        names: of all sources, in their order.
        beside: what else is known of the usable images, by name.
    """
    notes = {
        "skipped": json.dumps({names[k]: reason for k, reason in decoding.failures.items()}),
        "enlarged": str(decoding.enlarged),
        "formats": json.dumps(decoding.formats),
    }
    return Cached({"images": decoding.images, **beside}, notes)


def tell(content: Cached, resolution: int) -> dict[str, str]:
    """Warn of what was skipped or enlarged; the reasons by the name of each skipped source."""
    skipped: dict[str, str] = json.loads(content.notes["skipped"])
    for name, reason in list(skipped.items())[:NAMED]:
        log.warning("skipped %r: %s", name, reason)
    if len(skipped) > NAMED:
        log.warning("skipped %d more that are no images", len(skipped) - NAMED)
    if enlarged := int(content.notes["enlarged"]):
        log.warning(
            "%d images are smaller than data.resolution=%d and were enlarged, which leaves traces", enlarged, resolution
        )
    return skipped


def stored_as(content: Cached) -> dict[str, int]:
    """How many of the images were stored in which format, by Pillow's names."""
    return json.loads(content.notes["formats"])


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """Go through the items; on a terminal a bar on stderr says how far."""
    console = Console(stderr=True)
    return track(items, what, total=total, console=console, disable=not console.is_terminal, transient=True)


# Part of the cache's name: raise it whenever the same files would give other pixels.
FOLDER_VERSION = 1


class ImageFolder(RealData):
    """Photographs from a folder and all folders in it, 256 levels.

    Every file is tried, whatever its name, except hidden ones (their names begin with a dot). The middle square is
    cropped and, where its side is not ``resolution`` already, resized with an antialiasing filter. Files that cannot be
    read as images are listed and skipped. What was decoded is cached under the names, sizes and dates of the files.

    Args:
        path: the folder.
        resolution: side in pixels.
        channels: 1 (grey), 3 (colour), or None: 1 if every image is grey, else 3.
        seed: ``data.seed``, which splits.
        planted_amplitude: peak amplitude, in grey levels, of the artefact a fit judge must catch.
        persons: a regular expression with one group, searched for in each file's path within the folder: the group says
            who is shown, and nobody is in two parts of the split. None where nobody knows.
        cache_dir: where decoded images are kept.

    Raises:
        ArenaError: where the folder is missing or has no usable image, or the expression does not fit.
    """

    name = "folder"

    def __init__(
        self,
        *,
        path: str | Path | None,
        resolution: int,
        channels: int | None,
        seed: int,
        planted_amplitude: float,
        persons: str | None,
        cache_dir: str | Path,
    ) -> None:
        if channels not in (None, 1, 3):
            raise ArenaError(f"data.channels={channels}: expected 1, 3 or null")
        self._person = _expression(persons)
        super().__init__(
            resolution=resolution, channels=channels or 3, levels=256, seed=seed, planted_amplitude=planted_amplitude
        )
        # Decoded now, since only the images say how many channels there are, and a bad folder should be known at once.
        self._decoded = decode_folder("data", path, resolution, channels, cache_dir)
        self.channels = self._decoded.images.shape[1]

    def load(self) -> Reals:
        """The usable images; their ids count them in the order of their paths."""
        images = self._decoded.images
        persons = None if self._person is None else _persons(self._decoded.names, self._person)
        return Reals(images, np.arange(len(images), dtype=np.int64), persons=persons)

    def files(self) -> list[Path]:
        """The usable images' files, in the order of their ids."""
        return self._decoded.files


@dataclass(frozen=True)
class Decoded:
    """Usable images uint8 (N, C, R, R), the folder they are in, and their paths within it."""

    images: Tensor
    folder: Path
    names: list[str]

    @property
    def files(self) -> list[Path]:
        """The images' files."""
        return [self.folder / name for name in self.names]


def decode_folder(
    group: str, path: str | Path | None, resolution: int, channels: int | None, cache_dir: str | Path
) -> Decoded:
    """Decode whatever image is in a folder and in all folders in it, in the order of their paths.

    Args:
        group: ``data`` or ``generator``: whose ``path`` it is.
        path: the folder.
        resolution: side in pixels.
        channels: 1, 3, or None: 1 if every image is grey, else 3.
        cache_dir: where decoded images are kept.

    Raises:
        ArenaError: where the folder is missing or has no usable image.
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
    """Every file of a folder and of all folders in it that is not hidden, in the order of their paths.

    Args:
        folder: where to look.
        key: by which the user named it.

    Raises:
        ArenaError: naming the key, where it is no folder.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise ArenaError(f"{key}={folder}: expected a folder of images, found {found}")
    return sorted(_walk(folder), key=lambda file: file.relative_to(folder).as_posix())


def _expression(persons: str | None) -> re.Pattern[str] | None:
    if persons is None:
        return None
    try:
        expression = re.compile(persons)
    except re.error as failure:
        raise ArenaError(f"data.persons={persons}: expected a regular expression ({failure})") from failure
    if expression.groups != 1:
        raise ArenaError(f"data.persons={persons}: expected one group, found {expression.groups}")
    return expression


def _persons(names: list[str], expression: re.Pattern[str]) -> NDArray[np.int64]:
    """Number who is shown."""
    found = [expression.search(name) for name in names]
    for name, match in zip(names, found, strict=True):
        if match is None or match.group(1) is None:
            raise ArenaError(
                f"data.persons={expression.pattern}: expected a match in every path, found none in {name!r}"
            )
    who = [match.group(1) for match in found if match is not None]
    return np.unique(who, return_inverse=True)[1].astype(np.int64)


def _walk(folder: Path) -> Iterator[Path]:
    """Every file that is not hidden; linked folders too, each once."""
    seen: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(here)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(here, name) for name in files if not name.startswith("."))


def decode_files(
    folder: Path,
    files: Sequence[Path],
    resolution: int,
    channels: int | None,
    cache_dir: Path,
    crop: int | None = None,
) -> Decoded:
    """Decode the files of a folder unless the cache has them; say every time what was skipped.

    Args:
        folder: that all of them are in.
        files: in the order the images are to have.
        resolution: side in pixels.
        channels: 1, 3, or None: 1 if every image is grey, else 3.
        cache_dir: where decoded images are kept.
        crop: side of the middle square that is kept, at most; None: the largest there is.
    """
    names = [file.relative_to(folder).as_posix() for file in files]
    key = hashlib.blake2b(f"{FOLDER_VERSION}|{resolution}|{channels}|{crop}".encode(), digest_size=12)
    for name, file in zip(names, files, strict=True):
        state = file.stat() if file.exists() else None
        key.update(os.fsencode(name) + f"|{state.st_size}|{state.st_mtime_ns}\n".encode() if state else b"gone\n")
    content = cached(
        cache_dir / f"folder-{key.hexdigest()}.safetensors",
        lambda: with_skipped(decode_all(files, resolution, channels, crop, len(files)), names),
    )
    skipped = tell(content, resolution)
    return Decoded(content.tensors["images"], folder, [name for name in names if name not in skipped])
