"""Subcommands that measure the instrument: limits of detection, and controls of known outcome."""

from collections.abc import Sequence
from pathlib import Path

from arena.cli.command import CommandParser, resumable


def sensitivity(arguments: Sequence[str]) -> None:
    """Run ``arena sensitivity --out DIR [overrides]``."""
    out, overrides = _parse(
        "sensitivity",
        "Measure how faint an artefact each technique still catches. The limit of detection is the amplitude, in grey "
        "levels, at which a fresh judge reaches AUC 0.75. Each limit is found by bisection. The same command with the "
        "same DIR continues an interrupted study.",
        arguments,
    )
    from rich.console import Console

    from arena.studies.sensitivity.study import sensitivity_study

    with resumable("the same command"):
        sensitivity_study(out, overrides, Console())


def calibration(arguments: Sequence[str]) -> None:
    """Run ``arena calibration --out DIR [overrides]``."""
    out, overrides = _parse(
        "calibration",
        "Judge controls of known outcome many times over, on digits and on portraits. Real images that are judged as "
        "fakes must not be caught, copies must be invalid, and planted artefacts must be caught. The same command with "
        "the same DIR continues an interrupted study.",
        arguments,
    )
    from rich.console import Console

    from arena.studies.calibration.study import calibration_study

    with resumable("the same command"):
        calibration_study(out, overrides, Console())


def _parse(name: str, description: str, arguments: Sequence[str]) -> tuple[Path, list[str]]:
    parser = CommandParser(name, description)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="output directory of measurements, tables and figure"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help=f"Hydra override, as for a race, on top of experiment={name}",
    )
    options = parser.parse_intermixed_args(arguments)
    return options.out, options.overrides
