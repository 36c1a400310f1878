"""``python -m arena.report RUN``: report.html again, from what the run wrote."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from arena.core.errors import ArenaError
from arena.report.page import write_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, name it on stdout, and return the exit code: 0, or 2 for a path that is no finished run."""
    parser = argparse.ArgumentParser(prog="python -m arena.report", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a finished run")
    try:
        print(write_report(parser.parse_args(arguments).run))
    except (ArenaError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
