"""Report failures that a user can correct: one line with the key or file and the expected value."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

_SURROUNDINGS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE),
    *(errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE, errno.EFBIG),
}
"""Errors of the operating system that a user can mend: a full disk, a folder that is read-only, a file in its place."""


def require(condition: bool, key: str, value: object, expected: str) -> None:
    """Raise an ``ArenaError`` about ``key=value`` if ``condition`` is false."""
    if not condition:
        raise ArenaError(f"{key}={value}: expected {expected}")


class ArenaError(Exception):
    """Impossible configuration or input: one line that names the key or the file, and the expected value.

    The command line prints it without a traceback and ends with exit code 2.
    """


class DoesNotApply(ArenaError):
    """A technique needs other images or another race. It is left out, with this message as the reason."""


def requires(condition: bool, need: str) -> None:
    """Raise ``DoesNotApply("needs ...")`` if ``condition`` is false."""
    if not condition:
        raise DoesNotApply(f"needs {need}")


@contextmanager
def error_context(key: str) -> Iterator[None]:
    """Prefix the keys that errors of a part name with the key of the part, which the part does not know.

    Raises:
        ArenaError: with the whole key, also if an argument of a constructor is missing.
    """
    try:
        yield
    except DoesNotApply:
        raise
    except ArenaError as error:
        raise ArenaError(f"{key}.{error}") from error
    except TypeError as error:
        raise ArenaError(f"{key}._target_: cannot be built ({first_line(error)})") from error


def in_one_line(error: BaseException) -> str | None:
    """Return an error that a user can correct as one line. None for any other error, which is a bug."""
    if isinstance(error, ArenaError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in _SURROUNDINGS:
        place = f"{error.filename}: " if error.filename is not None else ""
        return f"{place}{error.strerror}"
    return None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message. An error without a message gives its class."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
