"""Run a race, or a sweep of races, from Hydra overrides. torch is imported once the configuration is composed."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from arena.cli.launchers import check_launcher, launched_by
from arena.cli.subcommands import resumable
from arena.cli.sweep import FAILED, Sweep, member_name, note_failure
from arena.config.compose import CONF, explanation, long_form, quoted
from arena.config.schema import register
from arena.core.errors import ArenaError

if TYPE_CHECKING:
    from hydra.conf import HydraConf

    from arena.tracking.tracker import Labels

T = TypeVar("T")
TAGS = ("access", "data", "generator", "battery", "objective", "pool")
"""Groups whose option is a tag of the W&B run."""


def run_race_command(arguments: Sequence[str]) -> int:
    """Compose the configuration of the overrides, and run its race or its sweep.

    Returns:
        The exit code: 0, or 1 if races of a sweep failed.

    Raises:
        ArenaError: for flags or overrides that Hydra refuses, or a race that cannot be built or trained.
    """
    sys.argv[1:] = long_form(arguments)  # Hydra reads them there
    flags = _read_flags()
    check_launcher(flags.overrides, flags.multirun)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors instead of printing them
    register()
    sweep = None
    if flags.multirun and not _shows(flags):
        sweep = _composed(arguments, lambda: Sweep.of(flags.overrides))
    if sweep is None:
        _composed(arguments, _race)
        return 0
    sweep.check()
    sys.argv.append(f"hydra.sweep.dir={quoted(str(sweep.folder))}")
    with resumable(f"the same command with run_dir={sweep.folder}"):
        _composed(arguments, _race)
    failures = sweep.failures()
    for line in failures:
        print(f"arena: failed: {line}", file=sys.stderr)
    if failures:
        count = f"{len(failures)} of {len(sweep.members)} races"
        print(f"arena: {count} failed; the same command with run_dir={sweep.folder} runs them again", file=sys.stderr)
    return int(bool(failures))


def _composed(arguments: Sequence[str], work: Callable[[], T]) -> T:
    """Return the result of work that composes configurations, and explain what Hydra refuses in one line.

    Errors of a race that began are as they are.
    """
    try:
        return work()
    except RaceFailed as failed:
        error = failed.error
        if isinstance(error, (HydraException, OmegaConfBaseException)):
            raise ArenaError(explanation(error, arguments)) from error
        raise error from error.__cause__
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ArenaError(explanation(error, arguments)) from error
    except OSError as error:  # of a folder that Hydra makes
        raise ArenaError(f"{error.filename}: {error.strerror}") from error


def _read_flags() -> argparse.Namespace:
    """Return the flags and overrides of the command line, as Hydra reads them.

    Raises:
        ArenaError: for a flag that Hydra does not have, or an override that cannot be parsed.
    """
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        flags, unknown = parser.parse_known_args()
    except argparse.ArgumentError as error:
        raise ArenaError(str(error)) from error
    if unknown:
        raise ArenaError(f"{unknown[0]}: no such flag, or an override after one (`arena --help` shows the usage)")
    if flags.experimental_rerun is not None:
        raise ArenaError("--experimental-rerun: expected overrides, since the file of a run may hold code")
    try:
        OverridesParser.create().parse_overrides(flags.overrides)
    except (HydraException, ValueError) as error:
        raise ArenaError(explanation(error, flags.overrides)) from error
    return flags


def _shows(flags: argparse.Namespace) -> bool:
    """Return whether Hydra only shows something, or is to read further configs, which are not checked beforehand."""
    shown = (flags.help, flags.hydra_help, flags.cfg, flags.info, flags.shell_completion)
    return any(shown) or flags.config_dir is not None


class RaceFailed(BaseException):
    """Carries an error of a race through Hydra, which would print its own lines about any other exception."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def _race(composed: DictConfig) -> None:
    """Run one race. Hydra calls this function once for each race of a sweep, which goes on if one fails."""
    chosen = HydraConfig.get()
    if OmegaConf.is_missing(chosen.job, "num"):
        try:
            with resumable(f"the same command with run_dir={composed.run_dir}"):
                _run(composed)
        except Exception as error:
            raise RaceFailed(error) from error
        return
    run = Path(chosen.sweep.dir) / member_name(chosen.overrides.task)
    composed.run_dir = str(run)
    (run / FAILED).unlink(missing_ok=True)
    try:
        with launched_by(chosen.launcher._target_), resumable(f"the same command with run_dir={chosen.sweep.dir}"):
            _run(composed)
    except (HydraException, OmegaConfBaseException) as error:
        note_failure(run, ArenaError(explanation(error, chosen.overrides.task)))
    except Exception as error:
        note_failure(run, error)


def _run(composed: DictConfig) -> None:
    OmegaConf.to_object(composed)  # refuses impossible values before torch is imported

    from rich.console import Console

    from arena.answer.answer import read_answer
    from arena.config.saved import read_config
    from arena.core.lock import locked
    from arena.race.build import build_race
    from arena.race.loop import is_finished, run_race
    from arena.report.console import print_outcome
    from arena.report.outcome import outdated

    console = Console()
    hydra_config = HydraConfig.get()
    race = build_race(composed, list(hydra_config.overrides.task))
    finished = is_finished(race)
    made_again = outdated(race.run) if finished else []
    if finished and not made_again:
        answer = read_answer(race.run)
        console.print(f"{race.run} already holds this race. Nothing is run again.", highlight=False, soft_wrap=True)
        print_outcome(answer, console)
    else:
        if made_again:
            console.print(f"made again from the records: {', '.join(made_again)}", highlight=False, soft_wrap=True)
        labels = tracking_labels(hydra_config, race.run, race.access.name)
        with locked(race.run):
            race.tracker.start(race.run, settings=read_config(race.run), labels=labels)
            try:
                answer = run_race(race, console)
                print_outcome(answer, console)
                race.tracker.finish(answer)
            finally:
                race.tracker.close()


def tracking_labels(chosen: "HydraConf", run: Path, access: str) -> "Labels":
    """Return the W&B labels of a race, which is named by its run directory.

    A race is grouped by its experiment, and a race of a sweep by its sweep.

    Args:
        chosen: Hydra's own configuration, with the chosen options and overrides.
        run: the run directory.
        access: name of the generator's access to the detectors.
    """
    from arena.tracking.tracker import Labels

    choices = chosen.runtime.choices
    name, group = run.name, str(choices.get("experiment"))
    if not OmegaConf.is_missing(chosen.job, "num"):
        group = f"{group}/{run.parent.name}"
    return Labels(name, group, access, [f"{key}={choices[key]}" for key in TAGS if choices.get(key)])
