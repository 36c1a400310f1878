"""The subcommand that measures this machine."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from arena.cli.command import CommandParser, stdout_console


def bench(arguments: Sequence[str]) -> None:
    """Run ``arena bench [--battery] [overrides]``."""
    parser = CommandParser(
        "bench",
        "Measure how fast this machine trains and samples the generator of a race, and what Lightning's Trainer "
        "costs. With --battery, measure the cost of each technique instead, alone and in one pass with the others.",
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="OVERRIDE", help="Hydra override of the race, such as generator=r3gan"
    )
    parser.add_argument("--battery", action="store_true", help="measure the battery instead of the generator")
    parser.add_argument(
        "--seconds", type=float, default=10.0, metavar="S", help="seconds of each measurement (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    options = parser.parse_intermixed_args(arguments)
    if options.seconds <= 0:
        parser.error(f"--seconds={options.seconds}: expected above 0")
    if options.json is not None and not options.json.parent.is_dir():
        parser.error(f"--json={options.json}: expected a file in a folder that exists")

    from arena.bench.battery import battery_costs, battery_notes, battery_table
    from arena.bench.speed import measure_speed, speed_notes, speed_table
    from arena.core.files import write_atomically
    from arena.race.build import race_from

    with TemporaryDirectory() as run:
        race = race_from(options.overrides, Path(run))
        if options.battery:
            figures = battery_costs(race)
            table, notes = battery_table(figures), battery_notes(figures)
        else:
            figures = measure_speed(race, options.seconds)
            table, notes = speed_table(figures), speed_notes(figures)
    console = stdout_console()
    console.print(table)
    for line in notes:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if options.json is not None:
        write_atomically(options.json, (json.dumps(dataclasses.asdict(figures), indent=2) + "\n").encode())
