"""Any tree of images: found, decoded once, cropped square and resized."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from arena.data.cache import cached
from arena.data.decode import decode_all
from arena.data.reals import RealData, Reals
from arena.data.skipped import tell, with_skipped
from arena.errors import ArenaError

# Part of the cache's name: raise it whenever the same files would give other pixels.
FOLDER_VERSION = 1


class Folder(RealData):
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
