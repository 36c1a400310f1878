"""Read real images from a folder: find, decode, crop, resize and cache them."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
from torch import Tensor

from arena.core.errors import ArenaError, require
from arena.core.text import printable
from arena.data.decoding import cached, decode_images
from arena.data.reals import DataTerms, RealData, Reals

FOLDER_VERSION = 1
"""Part of the cache key. Raise it when the same files would give other pixels."""


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
    photographs = True

    def __init__(
        self,
        *,
        path: str | Path | None,
        resolution: int,
        channels: Literal[1, 3] | None,
        persons: str | None,
        cache_dir: str | Path,
        **terms: Unpack[DataTerms],
    ) -> None:
        self._persons = persons
        if persons is not None:
            try:
                groups = re.compile(persons).groups
            except re.error as failure:
                raise ArenaError(f"data.persons={persons}: expected a regular expression ({failure})") from failure
            require(groups == 1, "data.persons", persons, f"one group, found {groups}")
        super().__init__(resolution=resolution, channels=channels or 3, levels=256, **terms)
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
        ArenaError: naming the key, if it is no folder, or a folder of it cannot be read.
    """
    if not folder.is_dir():
        raise ArenaError(
            f"{key}={folder}: expected a folder of images, found {'a file' if folder.exists() else 'nothing'}"
        )
    files: list[Path] = []
    visited: set[str] = set()

    def refuse(error: OSError) -> None:
        raise ArenaError(f"{key}={folder}: expected folders that can be read, found {printable(str(error))}") from error

    for here, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
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
        state = _state(file)
        key.update(os.fsencode(name) + f"|{state.st_size}|{state.st_mtime_ns}\n".encode() if state else b"gone\n")
    entry = cached(
        cache_dir / f"folder-{key.hexdigest()}.safetensors",
        lambda: decode_images(files, resolution, channels, crop=crop, total=len(files)).cache_entry(names),
    )
    entry.warn(resolution)
    skipped = entry.skipped
    return DecodedFiles(entry.tensors["images"], folder, [name for name in names if name not in skipped])


def _state(file: Path) -> os.stat_result | None:
    """Return size and times of a file, or None where it is gone or cannot be reached, as in a loop of links."""
    try:
        return file.stat()
    except OSError:
        return None
