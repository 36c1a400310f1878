"""Write files atomically, and hash their content."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


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


def file_hash(files: Sequence[Path]) -> str:
    """Return the SHA-256 (hex) of the content of files, in order."""
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()
