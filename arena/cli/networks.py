"""Subcommands that run the networks of a finished run: its detectors on other images, its generator on photographs."""

import sys
from collections.abc import Sequence
from pathlib import Path

from arena.cli.command import CommandParser, stdout_console


def score(arguments: Sequence[str]) -> None:
    """Run ``arena score RUN DIR``."""
    parser = CommandParser(
        "score",
        "Score a folder of images with the detectors of a run. One CSV row per image goes to stdout: its path, and "
        "each technique's probability that it is fake. A summary goes to stderr.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory")
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of images. Subfolders are read too")
    parser.add_argument("--round", type=int, metavar="R", help="round whose detectors to use (default: last)")
    options = parser.parse_intermixed_args(arguments)

    from arena.score.folder import score_folder

    score_folder(options.run, options.folder, sys.stdout, sys.stderr, round_index=options.round)


def mix(arguments: Sequence[str]) -> None:
    """Run ``arena mix RUN A B``, or ``arena mix RUN --attributes``."""
    parser = CommandParser(
        "mix",
        "Project two photographs into the latent space of a run's style generator and mix their styles. With "
        "--attributes, tabulate instead which level of style carries which attribute. This needs a run with "
        "data=portraits.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a run with a style generator")
    parser.add_argument(
        "photographs", type=Path, nargs="*", default=[], metavar="PHOTOGRAPH", help="the two photographs, A and B"
    )
    parser.add_argument("--attributes", action="store_true", help="tabulate attributes instead of mixing photographs")
    parser.add_argument("--round", type=int, metavar="R", help="round whose generator to use (default: last)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="output directory (default: RUN/mixing)")
    parser.add_argument(
        "--space", choices=("w", "w+"), default="w+", help="latent space whose codes are mixed (default: %(default)s)"
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=1000,
        metavar="N",
        help="optimisation steps per latent space (default: %(default)s)",
    )
    parser.add_argument(
        "--pairs", type=int, default=2000, metavar="N", help="pairs mixed for the table (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="random seed (default: %(default)s)")
    options = parser.parse_intermixed_args(arguments)
    place = {"round_index": options.round, "out": options.out, "seed": options.seed}

    if options.attributes:
        if options.photographs:
            parser.error(f"--attributes: expected no photographs, found {options.photographs[0]}")
        from arena.mix.attributes import tabulate_attributes

        written = tabulate_attributes(options.run, stdout_console(), pairs=options.pairs, **place)
    else:
        from arena.mix.photographs import mix_photographs

        written = mix_photographs(options.run, options.photographs, space=options.space, steps=options.steps, **place)
    print(f"wrote {', '.join(map(str, written))}")
