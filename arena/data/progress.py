"""A progress bar where someone is watching, and silence where nobody is."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import track


def progress[T](items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Go through the items; on a terminal a bar on stderr says how far."""
    console = Console(stderr=True)
    yield from track(items, what, total=total, console=console, disable=not console.is_terminal, transient=True)
