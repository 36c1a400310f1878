"""The one kind of failure a user can put right."""

from collections.abc import Iterator
from contextlib import contextmanager


def require(condition: bool, key: str, value: object, expected: str) -> None:
    """Raise the one line of an impossible value.

    Raises:
        ArenaError: unless ``condition`` holds.
    """
    if not condition:
        raise ArenaError(f"{key}={value}: expected {expected}")


class ArenaError(Exception):
    """Bad configuration or input: one line that names the key or the file, and what was expected.

    The command line prints it without a traceback and ends with exit code 2.
    """


class DoesNotApply(ArenaError):
    """A technique cannot work on images of this shape, or in this race: what it needs, in words. It is left out."""


def requires(condition: bool, what: str) -> None:
    """Raise ``DoesNotApply("needs ...")`` unless ``condition`` holds."""
    if not condition:
        raise DoesNotApply(f"needs {what}")


@contextmanager
def error_context(key: str) -> Iterator[None]:
    """Put a part's own key before the key its error names: a detector knows its parameters, not what a user calls it.

    Raises:
        ArenaError: with the whole key; also where a part, or a part of it, was not given what its constructor needs.
    """
    try:
        yield
    except DoesNotApply:
        raise
    except ArenaError as error:
        raise ArenaError(f"{key}.{error}") from error
    except TypeError as error:
        raise ArenaError(f"{key}._target_: cannot be built ({first_line(error)})") from error


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for a line of ours; its kind where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
