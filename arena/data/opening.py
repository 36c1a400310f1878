"""Read image files of a user: regular files alone, which are not larger than images are."""

import os
import stat
from pathlib import Path

LARGEST = 2**30
"""Bytes of the largest image file that is read."""


def read_image_file(file: Path) -> bytes:
    """Return the content of a file, which is opened without waiting for a writer, as a named pipe would.

    Raises:
        OSError: if the file cannot be read, is no regular file, or is larger than ``LARGEST``.
    """
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as opened:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(f"{_kind(state.st_mode)}, expected a regular file")
        if state.st_size > LARGEST:
            raise OSError(f"{state.st_size:,} bytes, expected at most {LARGEST:,}")
        return opened.read(LARGEST + 1)


def _kind(mode: int) -> str:
    kinds = {"a folder": stat.S_ISDIR, "a named pipe": stat.S_ISFIFO, "a socket": stat.S_ISSOCK}
    return next((name for name, matches in kinds.items() if matches(mode)), "a device")
