"""Subcommands that read finished runs, and the dashboard of their project. None of them imports torch."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from arena.cli.command import CommandParser, stdout_console

RUN = "run directory, or folder that holds run directories"


def answer(arguments: Sequence[str]) -> None:
    """Run ``arena answer RUN...``."""
    parser = CommandParser(
        "answer",
        "Print one verdict per condition, its limits, and the paired contrasts with its matched controls. Runs whose "
        "configurations differ only in their seeds are one condition.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help=RUN)
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
    else:
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
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help=RUN)
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="output directory. Each of several runs gets a folder of its own",
    )
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
    parser.add_argument(
        "--project", default="arena", help="project of the races, their logger.project (default: %(default)s)"
    )
    parser.add_argument("--name", default="arms race", help="name of the view (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="print the layout only. Needs neither W&B nor a key")
    options = parser.parse_args(arguments)

    from arena.tracking.dashboard import create_view, layout_lines

    if options.dry_run:
        print("\n".join(layout_lines()))
    else:
        print(create_view(options.entity, options.project, options.name))
