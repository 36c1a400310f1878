"""Slow work done once a machine: tensors in a safetensors file, shared by every process that wants the same."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from arena.errors import ArenaError


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
