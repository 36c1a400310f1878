"""A progress bar where someone is watching, and silence where nobody is."""

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """Go through the items; on a terminal a bar on stderr says how far."""
    console = Console(stderr=True)
    return track(items, what, total=total, console=console, disable=not console.is_terminal, transient=True)
