"""``python -m arena.sensitivity --out DIR [overrides]``: each technique's limit of detection of each artefact.

The limit is the amplitude, in grey levels, at which a fresh judge reaches AUC 0.75; it is found by bisection, all
techniques that want to know of an amplitude learning from one stream. The same command with the same DIR goes on where
it was interrupted.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from arena.core.errors import ArenaError
from arena.core.threads import wait_shortly

STUDY = ("experiment=sensitivity",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, write table and figure; 0, or 2 with one line on stderr, or 130 where it was interrupted."""
    options = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m arena.sensitivity", description=__doc__)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="where measurements, table and figure go"
    )
    parser.add_argument("overrides", nargs="*", help="as of python -m arena, on top of experiment=sensitivity")
    return parser


def run(out: Path, overrides: Sequence[str]) -> None:
    """Search, and write what was found.

    Raises:
        ArenaError: for overrides no arena can be built with.
    """
    # Nothing heavy is imported before there is something to run.
    from rich.console import Console

    from arena.core.files import write_atomically
    from arena.figures.axes import png
    from arena.figures.tables import to_csv, to_latex
    from arena.race.build import race_from
    from arena.studies.sensitivity.figure import sensitivity
    from arena.studies.sensitivity.search import sharpest_first
    from arena.studies.sensitivity.study import largest, study

    console, start = Console(), time.monotonic()
    race = race_from([*STUDY, *overrides], out)  # whose config.yaml refuses to go on with other settings
    for technique, reason in race.left_out.items():
        console.print(f"left out: {technique} {reason}", highlight=False)
    searches = study(race, out / "measurements.csv", console)
    limits = {name: {kind: search.limit(name) for kind, search in searches.items()} for name in race.members}
    limits = sharpest_first(limits, largest(race))
    own = {name: detector.artefact for name, detector in race.examples_of.items()}
    kinds = next(iter(limits.values()))
    table = [["technique", *kinds], *([name, *map(str, row.values())] for name, row in limits.items())]
    figure = sensitivity(limits, own, largest(race))
    write_atomically(out / "sensitivity.csv", to_csv(table).encode())
    write_atomically(out / "sensitivity.tex", to_latex(table).encode())
    write_atomically(out / "sensitivity.png", png(figure))
    console.print(f"{(time.monotonic() - start) / 3600:.2f} hours; wrote {out}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
