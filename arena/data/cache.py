"""Cache decoded images as safetensors files, with notes on the sources that were skipped."""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from arena.core.errors import ArenaError

NAMED = 20
"""Skipped images that are listed by name; the others are only counted."""

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
            log.warning("skipped %r: %s", name, reason)
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
