"""Run a race, or a sweep of races, from Hydra overrides. torch is imported once the configuration is composed."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from arena.cli.subcommands import resumable
from arena.config.compose import CONF, explanation, long_form
from arena.config.schema import register
from arena.core.errors import ArenaError

if TYPE_CHECKING:
    from hydra.conf import HydraConf

    from arena.tracking.tracker import Labels

TAGS = ("access", "data", "generator", "battery", "objective", "pool")
"""Groups whose option is a tag of the W&B run."""


def run_race_command(arguments: Sequence[str]) -> None:
    """Compose the configuration of the overrides, and run its race or its sweep.

    Raises:
        ArenaError: for flags or overrides that Hydra refuses.
        SystemExit: with code 2, after one line, for a race that cannot be built or trained.
    """
    sys.argv[1:] = long_form(arguments)  # Hydra reads them there
    _check_flags()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors instead of printing them
    register()
    try:
        _race()
    except (HydraException, OmegaConfBaseException) as error:
        raise ArenaError(explanation(error, arguments)) from error
    except ValueError as error:
        if HydraConfig.initialized():
            raise
        raise ArenaError(explanation(error, arguments)) from error  # of an override that cannot be parsed


def _check_flags() -> None:
    """Refuse flags that Hydra does not have, in one line."""
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        _, unknown = parser.parse_known_args()
    except argparse.ArgumentError as error:
        raise ArenaError(str(error)) from error
    if unknown:
        raise ArenaError(f"{unknown[0]}: no such flag, or an override after one (`arena --help` shows the usage)")


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def _race(composed: DictConfig) -> None:
    """Run one race. Hydra calls this function once for each member of a sweep."""
    sweep = HydraConfig.get().sweep
    member = not OmegaConf.is_missing(HydraConfig.get().job, "num")
    if member:
        composed.run_dir = str(Path(sweep.dir) / sweep.subdir)
    run_dir = sweep.dir if member else composed.run_dir
    try:
        with resumable(f"the same command with run_dir={run_dir}"):
            _run(composed)
    except (ArenaError, HydraException, OmegaConfBaseException) as error:
        # Hydra would report an exception in several lines, so the program ends here.
        print(f"arena: {explanation(error, sys.argv[1:])}", file=sys.stderr)
        sys.exit(2)


def _run(composed: DictConfig) -> None:
    OmegaConf.to_object(composed)  # refuses impossible values before torch is imported

    from rich.console import Console

    from arena.answer.answer import read_answer
    from arena.config.saved import read_config
    from arena.race.build import build_race
    from arena.race.loop import is_finished, run_race
    from arena.report.console import print_outcome

    console = Console()
    hydra_config = HydraConfig.get()
    race = build_race(composed, list(hydra_config.overrides.task))
    if (race.run / "verdict.json").is_file() and is_finished(race):
        answer = read_answer(race.run)
        console.print(f"{race.run} already holds this race. Nothing is run again.", highlight=False, soft_wrap=True)
    else:
        race.tracker.start(
            race.run, settings=read_config(race.run), labels=tracking_labels(hydra_config, race.run, race.access.name)
        )
        try:
            answer = run_race(race, console)
            race.tracker.finish(answer)
        finally:
            race.tracker.close()
    print_outcome(answer, console)


def tracking_labels(chosen: "HydraConf", run: Path, access: str) -> "Labels":
    """Return the W&B labels of a race.

    A race is grouped by its experiment. A member of a sweep is grouped by its sweep and named by its overrides.

    Args:
        chosen: Hydra's own configuration, with the chosen options and overrides.
        run: the run directory.
        access: name of the generator's access to the detectors.
    """
    from arena.tracking.tracker import Labels

    choices = chosen.runtime.choices
    name, group = run.name, str(choices.get("experiment"))
    if not OmegaConf.is_missing(chosen.job, "num"):
        varied = [
            given for given in chosen.overrides.task if not given.startswith(("run_dir=", "cache_dir=", "logger"))
        ]
        name, group = " ".join([name, *varied]), f"{group}/{run.parent.name}"
    return Labels(name, group, access, [f"{key}={choices[key]}" for key in TAGS if choices.get(key)])
