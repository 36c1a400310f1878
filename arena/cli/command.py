"""Parse a subcommand, print its tables, and tell the user how an interrupted one continues."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console

from arena.core.errors import ArenaError


class CommandParser(argparse.ArgumentParser):
    """Parser of one subcommand. Mistakes raise ``ArenaError``, as impossible values do.

    Args:
        name: of the subcommand.
        description: sentences above the list of arguments.
    """

    def __init__(self, name: str, description: str) -> None:
        super().__init__(prog=f"arena {name}", description=description)

    def error(self, message: str) -> NoReturn:
        """Raise the message.

        Raises:
            ArenaError: always.
        """
        raise ArenaError(f"{message} (`{self.prog} --help` lists the arguments)")


@contextmanager
def resumable(command: str) -> Iterator[None]:
    """Name the command that continues, if the user interrupts this one."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{command} continues") from None


def stdout_console() -> Console:
    """Return a console with colours on a terminal, and plain text of 120 columns in a file or a pipe."""
    return Console() if sys.stdout.isatty() else Console(width=120, color_system=None, highlight=False)
