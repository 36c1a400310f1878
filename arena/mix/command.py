"""``python -m arena.mix RUN A B``: two photographs, projected into a run's generator and mixed.

With --attributes instead of photographs: a table of what each level of style carries, on a run with data=portraits.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from arena.core.errors import ArenaError


def main(arguments: Sequence[str] | None = None) -> int:
    """Mix or table, say what was written, and return the exit code: 0, or 2 with one line on stderr."""
    options = _parser().parse_intermixed_args(arguments)
    try:
        if options.attributes:
            _attributes(options)
        else:
            _photographs(options)
    except (ArenaError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m arena.mix", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a run with a style generator")
    parser.add_argument("photographs", type=Path, nargs="*", metavar="PHOTOGRAPH", help="the two photographs, A and B")
    parser.add_argument("--attributes", action="store_true", help="table what each level of style carries instead")
    parser.add_argument("--round", type=int, metavar="R", help="whose generator (the last round's)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to (RUN/mixing)")
    parser.add_argument("--space", choices=("w", "w+"), default="w+", help="whose codes are mixed (%(default)s)")
    parser.add_argument(
        "--steps", type=int, default=1000, metavar="N", help="of the search in each space (%(default)s)"
    )
    parser.add_argument("--pairs", type=int, default=2000, metavar="N", help="mixed for the table (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of all that is drawn (%(default)s)")
    return parser


def _photographs(options: argparse.Namespace) -> None:
    if len(options.photographs) != 2:
        raise ArenaError(f"photographs: expected two, found {len(options.photographs)}")
    if options.steps < 1:
        raise ArenaError(f"--steps={options.steps}: expected at least 1")
    # Nothing heavy is imported before there is something to do.
    from arena.mix.generator import style_generator
    from arena.mix.photographs import mix_photographs

    generator, round_index = style_generator(options.run, options.round)
    written = mix_photographs(
        generator,
        (options.photographs[0], options.photographs[1]),
        _out(options),
        round_index=round_index,
        space=options.space,
        steps=options.steps,
        seed=options.seed,
    )
    print(f"wrote {', '.join(map(str, written))}")


def _attributes(options: argparse.Namespace) -> None:
    if options.photographs:
        raise ArenaError(f"--attributes: expected no photographs, found {options.photographs[0]}")
    if options.pairs < 2:
        raise ArenaError(f"--pairs={options.pairs}: expected at least 2")
    from arena.core.files import write_atomically
    from arena.core.progress import for_stdout
    from arena.figures.tables import to_csv, to_latex
    from arena.mix.attributes import attribute_table, carried, fit_regressor, fresh_portraits, show
    from arena.mix.generator import style_generator

    generator, round_index = style_generator(options.run, options.round)
    train, held_out = fresh_portraits(options.run)
    found = carried(generator, fit_regressor(train, held_out, options.seed), options.pairs, options.seed)
    show(found, for_stdout())
    table, out = attribute_table(found), _out(options)
    written = [out / f"attributes_{round_index:02d}.csv", out / f"attributes_{round_index:02d}.tex"]
    for path, text in zip(written, (to_csv(table), to_latex(table)), strict=True):
        write_atomically(path, text.encode())
    print(f"wrote {', '.join(map(str, written))}")


def _out(options: argparse.Namespace) -> Path:
    return options.run / "mixing" if options.out is None else options.out


if __name__ == "__main__":
    sys.exit(main())
