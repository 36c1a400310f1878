"""``python -m arena.figures RUN... --out DIR``: every figure and table again, from what was written."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from arena.answer.runs import FinishedRun, conditions, read_run
from arena.core.errors import ArenaError
from arena.figures.compare import compare
from arena.figures.draw import draw_all


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, name the files on stdout, and return the exit code: 0, or 2 with one line, as for a path that is no run.

    With several runs the comparisons of their conditions come last, of those that are finished.
    """
    parser = argparse.ArgumentParser(prog="python -m arena.figures", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="directory of a run")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where to; a folder a run if several")
    given = parser.parse_args(arguments)
    runs = [run.resolve() for run in given.runs]
    common = runs[0] if len(runs) == 1 else Path(os.path.commonpath(runs))
    try:
        groups = conditions(_finished(runs)) if len(runs) > 1 else []
        for run in runs:
            for path in draw_all(run, given.out / run.relative_to(common)):
                print(path)
        for path in compare(groups, given.out):
            print(path)
    except (ArenaError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _finished(runs: Sequence[Path]) -> list[FinishedRun]:
    """Those that have a verdict; of the others a line on stderr says that no comparison knows them."""
    for run in runs:
        if not (run / "verdict.json").is_file():
            print(f"not compared, since it is not finished: {run}", file=sys.stderr)
    return [read_run(run) for run in runs if (run / "verdict.json").is_file()]


if __name__ == "__main__":
    sys.exit(main())
