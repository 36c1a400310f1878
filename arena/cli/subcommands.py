"""The subcommands: read finished runs, run their networks, and measure the instrument and this machine.

A subcommand imports its part of the package after its arguments are parsed, so that ``--help`` is quick.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from rich.console import Console

from arena.core.errors import ArenaError
from arena.core.files import write_atomically
from arena.core.interruption import Interrupted


class CommandParser(argparse.ArgumentParser):
    """Parser of one subcommand. Mistakes raise ``ArenaError``, as impossible values do.

    Args:
        name: of the subcommand.
        description: sentences above the list of arguments.
    """

    def __init__(self, name: str, description: str) -> None:
        super().__init__(prog=f"arena {name}", description=description)

    def error(self, message: str) -> NoReturn:
        """Raise the message.

        Raises:
            ArenaError: always.
        """
        raise ArenaError(f"{message} (`{self.prog} --help` lists the arguments)")

    def add_runs(self) -> None:
        """Add one or more runs."""
        text = "run directory, or folder that holds run directories"
        self.add_argument("runs", nargs="+", type=Path, metavar="RUN", help=text)

    def add_overrides(self, text: str) -> None:
        """Add any number of Hydra's overrides."""
        self.add_argument("overrides", nargs="*", metavar="OVERRIDE", help=f"Hydra override{text}")


@contextmanager
def resumable(command: str) -> Iterator[None]:
    """Name the command that continues, if a signal interrupts this one."""
    try:
        yield
    except Interrupted as interruption:
        interruption.advice = f"{command} continues"
        raise


def stdout_console() -> Console:
    """Return a console with colours on a terminal, and plain text of 120 columns in a file or a pipe."""
    return Console() if sys.stdout.isatty() else Console(width=120, color_system=None, highlight=False)


# --- finished runs: none of these imports torch -----------------------------------------------------------------------


def answer(arguments: Sequence[str]) -> None:
    """Run ``arena answer RUN...``."""
    parser = CommandParser(
        "answer",
        "Print one verdict per condition, its limits, and the paired contrasts with its matched controls. Runs whose "
        "configurations differ only in their seeds are one condition.",
    )
    parser.add_runs()
    parser.add_argument("--json", action="store_true", help="print JSON to stdout and nothing else")
    parser.add_argument(
        "--human",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="FILE",
        help="answers to the quiz of report.html, as the page saved them. They count as the technique `human`",
    )
    options = parser.parse_intermixed_args(arguments)

    from arena.answer.answer import find_answers
    from arena.answer.axes import axes, axis_in_words
    from arena.report.console import print_answer

    answers, passed_over = find_answers(options.runs, options.human)
    for line in passed_over:
        print(f"passed over: {line}", file=sys.stderr)
    if options.json:
        print(json.dumps([each.as_json() for each in answers], indent=2, allow_nan=False))
        return
    console = stdout_console()
    for each in answers:
        print_answer(each, console)
    for axis in axes(answers):
        console.print(axis_in_words(axis), soft_wrap=True, highlight=False)


def figures(arguments: Sequence[str]) -> None:
    """Run ``arena figures RUN... --out DIR``."""
    parser = CommandParser(
        "figures",
        "Draw every figure and table of the runs again, from their records. "
        "For several runs, the figures that compare their conditions are drawn last. They cover the finished runs.",
    )
    parser.add_runs()
    text = "output directory. Each of several runs gets a folder of its own"
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=text)
    options = parser.parse_intermixed_args(arguments)

    from arena.figures.draw import draw_runs

    for path in draw_runs(options.runs, options.out):
        print(path)


def report(arguments: Sequence[str]) -> None:
    """Run ``arena report RUN``."""
    parser = CommandParser("report", "Write report.html of a finished run again, from its records.")
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a finished run")
    options = parser.parse_intermixed_args(arguments)

    from arena.answer.answer import read_answer
    from arena.report.page import write_report

    print(write_report(read_answer(options.run)))


def dashboard(arguments: Sequence[str]) -> None:
    """Run ``arena dashboard --entity TEAM``."""
    parser = CommandParser(
        "dashboard",
        "Create a view of a W&B project with the layout that docs/dashboard.md describes, and print its address. "
        "Each call creates a new view. It needs an API key, which `wandb login` stores.",
    )
    parser.add_argument("--entity", required=True, help="user or team on W&B")
    text = "project of the races, their logger.project (default: %(default)s)"
    parser.add_argument("--project", default="arena", help=text)
    parser.add_argument("--name", default="arms race", help="name of the view (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="print the layout only. Needs neither W&B nor a key")
    options = parser.parse_args(arguments)

    from arena.tracking.dashboard import create_view, layout_lines

    if options.dry_run:
        print("\n".join(layout_lines()))
    else:
        print(create_view(options.entity, options.project, options.name))


# --- networks of a finished run ---------------------------------------------------------------------------------------


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
    text = "the two photographs, A and B"
    parser.add_argument("photographs", type=Path, nargs="*", default=[], metavar="PHOTOGRAPH", help=text)
    parser.add_argument("--attributes", action="store_true", help="tabulate attributes instead of mixing photographs")
    parser.add_argument("--round", type=int, metavar="R", help="round whose generator to use (default: last)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="output directory (default: RUN/mixing)")
    text = "latent space whose codes are mixed (default: %(default)s)"
    parser.add_argument("--space", choices=("w", "w+"), default="w+", help=text)
    text = "optimisation steps per latent space (default: %(default)s)"
    parser.add_argument("--steps", type=int, default=1000, metavar="N", help=text)
    text = "pairs mixed for the table (default: %(default)s)"
    parser.add_argument("--pairs", type=int, default=2000, metavar="N", help=text)
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


def cross(arguments: Sequence[str]) -> None:
    """Run ``arena cross RUN...``."""
    parser = CommandParser(
        "cross",
        "Test the fresh judges of each run on the fakes of every other run. The runs are of one condition and share "
        "data.seed. The judges are trained again from each run's files. The tests join the records of the run whose "
        "fakes they judge. The same command continues an interrupted one.",
    )
    parser.add_runs()
    options = parser.parse_intermixed_args(arguments)

    from arena.answer.cross import cross_in_words
    from arena.race.cross import cross_runs

    with resumable("the same command"):
        answered = cross_runs(options.runs, Console())
    console = stdout_console()
    for line in cross_in_words(answered.cross, answered.verdict.margin, answered.verdict.alpha):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


# --- the instrument and this machine ----------------------------------------------------------------------------------


def sensitivity(arguments: Sequence[str]) -> None:
    """Run ``arena sensitivity --out DIR [overrides]``."""
    options = _study_parser(
        "sensitivity",
        "Measure how faint an artefact each technique still catches. The limit of detection is the amplitude, in grey "
        "levels, at which a fresh judge reaches AUC 0.75. Each limit is found by bisection.",
    ).parse_intermixed_args(arguments)
    from arena.studies.sensitivity.study import sensitivity_study

    with resumable("the same command"):
        sensitivity_study(options.out, options.overrides, Console())


def calibration(arguments: Sequence[str]) -> None:
    """Run ``arena calibration --out DIR [--arm NAME] [overrides]``."""
    parser = _study_parser(
        "calibration",
        "Judge controls of known outcome many times over, on digits and on portraits. Real images that are judged as "
        "fakes must not be caught, copies must be invalid, and planted artefacts must be caught.",
    )
    text = "run the arm of this name alone (may be repeated). 'digits at the defaults' and 'portraits at the defaults' "
    text += "are run only where they are named. They have the budgets of a race"
    parser.add_argument("--arm", action="append", default=[], metavar="NAME", help=text)
    options = parser.parse_intermixed_args(arguments)
    from arena.studies.calibration.study import calibration_study

    with resumable("the same command"):
        calibration_study(options.out, options.overrides, Console(), options.arm)


def _study_parser(name: str, description: str) -> CommandParser:
    continues = "The same command with the same DIR continues an interrupted study."
    parser = CommandParser(name, f"{description} {continues}")
    text = "output directory of measurements, tables and figure"
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=text)
    parser.add_overrides(f", as for a race, on top of experiment={name}")
    return parser


def declare(arguments: Sequence[str]) -> None:
    """Run ``arena declare [overrides]``."""
    parser = CommandParser(
        "declare",
        "Print how the outcome of a race would be read, its SHA-256 and the git commit, and run nothing. Published "
        "elsewhere before the race, the hash shows that these terms were fixed beforehand.",
    )
    parser.add_overrides(" of the race, such as seed=1")
    options = parser.parse_intermixed_args(arguments)

    from arena.answer.runs import declared, declared_hash, declared_json
    from arena.config.saved import read_config, section
    from arena.race.build import race_from

    with TemporaryDirectory() as run:
        race_from(options.overrides, Path(run))  # builds every part and trains none
        config = read_config(Path(run))
    terms = declared(config)
    print(f"declared: {declared_hash(terms)}")
    print(f"commit: {section(config, 'environment').get('git_commit') or 'unknown, as this is no checkout'}")
    print(f"terms: {declared_json(terms)}")


def bench(arguments: Sequence[str]) -> None:
    """Run ``arena bench [--battery] [overrides]``."""
    parser = CommandParser(
        "bench",
        "Measure how fast this machine trains and samples the generator of a race, and what Lightning's Trainer "
        "costs. With --battery, measure the cost of each technique instead, alone and in one pass with the others.",
    )
    parser.add_overrides(" of the race, such as generator=r3gan")
    parser.add_argument("--battery", action="store_true", help="measure the battery instead of the generator")
    text = "seconds of each measurement of the generator (default: %(default)s)"
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help=text)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    options = parser.parse_intermixed_args(arguments)
    if options.seconds <= 0:
        parser.error(f"--seconds={options.seconds}: expected above 0")
    if options.json is not None and not options.json.parent.is_dir():
        parser.error(f"--json={options.json}: expected a file in a folder that exists")

    from arena.bench.battery import battery_costs
    from arena.bench.speed import measure_speed
    from arena.race.build import race_from

    with TemporaryDirectory() as run:
        race = race_from(options.overrides, Path(run))
        measured = battery_costs(race) if options.battery else measure_speed(race, options.seconds)
    console = stdout_console()
    console.print(measured.table())
    for line in measured.notes():
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if options.json is not None:
        write_atomically(options.json, (json.dumps(dataclasses.asdict(measured), indent=2) + "\n").encode())


COMMANDS = {
    command.__name__: command
    for command in (answer, figures, report, score, mix, cross, sensitivity, calibration, dashboard, declare, bench)
}
"""Subcommands by name."""
