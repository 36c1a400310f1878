"""``python -m arena.bench``: how fast this machine trains each generator, samples and renders portraits.

Every training step is measured beside a plain textbook port of StyleGAN2-ADA's networks, in the same run, since figures
of a machine that others use too compare with no others. With --battery: what each technique of a battery costs, alone
and in one pass with the others.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from arena.bench.settings import Settings
from arena.core.errors import ArenaError, require
from arena.core.threads import wait_shortly


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m arena.bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="of timing, a cell (10)")
    parser.add_argument("--resolution", type=int, default=32, help="of the images, a power of two from 8 to 256 (32)")
    parser.add_argument("--batch", type=int, default=64, help="real images of a step (64)")
    parser.add_argument("--width", type=int, default=96, help="channels of style and of the textbook port (96)")
    parser.add_argument(
        "--battery", nargs="+", metavar="OVERRIDE", help="time a battery instead: overrides, such as battery=all"
    )
    parser.add_argument("--only", metavar="NAME", help="a generator or portraits, beside the textbook port")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0, or 2 with one line on stderr, or 130 where it was interrupted."""
    options = _parser().parse_args(arguments)
    wait_shortly()
    try:
        battery(options.battery) if options.battery else run(options)
    except ArenaError as error:
        print(f"python -m arena.bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("python -m arena.bench: interrupted", file=sys.stderr)
        return 130
    return 0


def run(options: argparse.Namespace) -> None:
    """Measure, print, write.

    Raises:
        ArenaError: for arguments nothing can be measured with.
    """
    settings = Settings(options.seconds, options.resolution, options.batch, options.width)
    path: Path | None = options.json
    if path is not None:
        writable = path.parent.is_dir() and os.access(path.parent, os.W_OK) and not path.is_dir()
        require(writable, "--json", path, "a file in a folder that can be written to")

    # Nothing heavy is imported before there is something to run.
    from rich.console import Console
    from rich.progress import Progress

    from arena.bench.cells import cells
    from arena.bench.lightning import lightning_cost
    from arena.bench.machine import MachineFacts
    from arena.bench.measure import measure
    from arena.bench.table import Bench, as_json, bench_table, notes
    from arena.core.files import write_atomically
    from arena.core.progress import for_stdout

    machine = MachineFacts.now()
    rows = cells(settings, options.only)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        figures = measure(rows, settings, progress)
        lightning = lightning_cost(rows, settings.seconds, progress)
    bench = Bench(settings, machine, figures, lightning)
    console = for_stdout()
    console.print(bench_table(figures))
    for line in notes(bench):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if path is not None:
        write_atomically(path, as_json(bench).encode())


def battery(overrides: Sequence[str]) -> None:
    """Time a battery's techniques, alone and in one pass, and print the table.

    Raises:
        ArenaError: for overrides no arena can be built with.
    """
    from tempfile import TemporaryDirectory

    from arena.bench.battery import battery_costs
    from arena.bench.table import battery_notes, battery_table
    from arena.core.progress import for_stdout
    from arena.race.build import race_from

    with TemporaryDirectory() as run:
        costs = battery_costs(race_from(overrides, Path(run)))
    console = for_stdout()
    console.print(battery_table(costs))
    for line in battery_notes(costs):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(main())
