"""Where tables are printed."""

import sys

from rich.console import Console


def for_stdout() -> Console:
    """Colours and the width of the terminal where there is one; plain text of 120 columns in a file or a pipe."""
    return Console() if sys.stdout.isatty() else Console(width=120, color_system=None, highlight=False)
