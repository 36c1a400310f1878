"""Compare the speed of this package's generators with a textbook port of StyleGAN2-ADA's networks."""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from arena.cli.main import wait_shortly
from arena.core.errors import ArenaError


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file too")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds to time each cell (default: %(default)s)")
    parser.add_argument("--resolution", type=int, default=32, help="side in pixels (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="real images of a step (default: %(default)s)")
    parser.add_argument(
        "--width", type=int, default=96, help="channels of style and of the textbook port (default: %(default)s)"
    )
    parser.add_argument("--only", metavar="NAME", help="one generator or portraits, beside the textbook port")
    options = parser.parse_args()

    wait_shortly()  # before torch is imported
    import torch
    from cells import Settings, cells
    from measure import as_json, measure, table

    from arena.core.machine import processor

    settings = Settings(options.seconds, options.resolution, options.batch, options.width)
    try:
        rows = cells(settings, options.only)
    except ArenaError as error:
        parser.error(str(error))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        figures = measure(rows, settings, progress)
    console = Console() if sys.stdout.isatty() else Console(width=140, color_system=None)
    console.print(table(figures))
    console.print(f"{processor()}, {torch.get_num_threads()} threads; torch {torch.__version__}", soft_wrap=True)
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(figures), indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
