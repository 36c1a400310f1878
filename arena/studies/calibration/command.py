"""``python -m arena.calibration --out DIR [overrides]``: controls of known outcome, judged many times over.

Real images are judged as if they were fakes, on digits and on portraits: how often does the instrument say what it must
not? Copies must be invalid, a planted artefact caught. The same command with the same DIR goes on where it was
interrupted.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from arena.core.errors import ArenaError
from arena.core.threads import wait_shortly


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the study; 0, or 2 with one line on stderr, or 130 where it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m arena.calibration", description=__doc__)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where outcomes, tables and figure go")
    parser.add_argument("overrides", nargs="*", help="as of python -m arena, on top of experiment=calibration")
    options = parser.parse_args(arguments)
    wait_shortly()
    try:
        run(options.out, options.overrides)
    except (ArenaError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


def run(out: Path, overrides: Sequence[str]) -> None:
    """Carry out what is left of the study, and write tables and figure.

    Raises:
        ArenaError: for overrides no arena can be built with.
    """
    # Nothing heavy is imported before there is something to run.
    from rich.console import Console

    from arena.config.schema import AnswerConfig
    from arena.core.files import write_atomically
    from arena.figures.axes import png
    from arena.figures.tables import to_csv, to_latex
    from arena.studies.calibration.figure import calibration
    from arena.studies.calibration.plan import ARMS
    from arena.studies.calibration.tables import expected_table, nulls_table, power_table
    from arena.studies.calibration.trial import study

    console, start = Console(), time.monotonic()
    outcomes = study(ARMS, overrides, out, console)
    tables = {
        "expected": expected_table(outcomes, AnswerConfig.alpha),
        "nulls": nulls_table(outcomes),
        "power": power_table(outcomes),
    }
    for name, table in tables.items():
        write_atomically(out / f"{name}.csv", to_csv(table).encode())
        write_atomically(out / f"{name}.tex", to_latex(table).encode())
    write_atomically(out / "calibration.png", png(calibration(outcomes)))
    console.print(f"{(time.monotonic() - start) / 3600:.2f} hours; wrote {out}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
