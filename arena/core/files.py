"""Write files atomically, hash their content, and seal folders that are complete."""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arena.core.errors import ArenaError, first_line

SEAL = "done"
"""File of a folder that is complete: the SHA-256 of its other files."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside ``path``, then rename it: readers see the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    beside.replace(path)


def save_arrays(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write named arrays as npz, atomically. Equal arrays make equal files."""
    buffer = BytesIO()
    named: dict[str, Any] = {name: np.asarray(values) for name, values in arrays.items()}
    np.savez(buffer, **named)
    write_atomically(path, buffer.getvalue())


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (hex) of the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hash(files: Sequence[Path]) -> str:
    """Return the SHA-256 (hex) of the content of files, in order."""
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def load_arrays(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Return named arrays of an npz.

    Raises:
        ArenaError: if the file is missing or damaged, or lacks one of them.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise ArenaError(f"{path}: expected an npz with {', '.join(names)} ({first_line(error):.200})") from error


def files_in(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def seal(folder: Path, without: str = SEAL) -> None:
    """Mark a folder as complete. ``is_sealed`` notices if a file of it is damaged afterwards.

    Args:
        folder: with all its files.
        without: name of a file that does not belong to it.
    """
    kept = [path for path in files_in(folder) if path.name not in (SEAL, without)]
    hashes = {path.relative_to(folder).as_posix(): sha256_of(path) for path in kept}
    write_atomically(folder / SEAL, (json.dumps(hashes, indent=1) + "\n").encode())


def is_sealed(folder: Path) -> bool:
    """Return whether a folder is complete, with every file as it was when it was sealed."""
    try:
        hashes = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        return all(sha256_of(folder / name) == digest for name, digest in hashes.items())
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
