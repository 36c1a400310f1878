"""The command line: compose, build, race, report. Nothing heavy is imported before there is something to run."""

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from arena.config.schema import ArenaConfig, register
from arena.core.errors import ArenaError
from arena.core.threads import wait_shortly

if TYPE_CHECKING:
    from hydra.conf import HydraConf

    from arena.tracking.tracker import Labels
from arena.config.compose import CONF

_WORDY = re.compile(
    r"^Error merging override |\.?\nTo append to your config use .*|\nSee https:.*|\n\s*Config search path:[\s\S]*"
)
"""What Hydra says beside the point, and the advice to append a key that nobody would read."""
TAGS = ("access", "data", "generator", "battery", "objective", "pool")
"""Groups whose option is a tag of the W&B run."""


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def _race(composed: DictConfig) -> None:
    """One race; Hydra calls it once for every member of a sweep."""
    sweep = HydraConfig.get().sweep
    member = not OmegaConf.is_missing(HydraConfig.get().job, "num")
    if member:
        composed.run_dir = str(Path(sweep.dir) / sweep.subdir)
    try:
        _run(composed)
    except (ArenaError, HydraException, OmegaConfBaseException) as error:
        _refuse(error)
    except KeyboardInterrupt:
        _interrupted(f"; the same command with run_dir={sweep.dir if member else composed.run_dir} goes on")


def _run(composed: DictConfig) -> None:
    config = OmegaConf.to_object(composed)
    assert isinstance(config, ArenaConfig)

    from rich.console import Console

    from arena.config.saved import read_config
    from arena.race.build import build_race
    from arena.race.loop import is_finished, run_race
    from arena.report.console import print_outcome

    console = Console()
    hydra_config = HydraConfig.get()
    race = build_race(config, composed, list(hydra_config.overrides.task))
    if is_finished(race) and (race.run / "verdict.json").is_file():
        console.print(f"{race.run} holds this race, finished; it is left alone", highlight=False, soft_wrap=True)
    else:
        race.tracker.start(
            race.run, settings=read_config(race.run), labels=_labels(hydra_config, race.run, race.access.name)
        )
        try:
            run_race(race, console)
            race.tracker.finish(race.run)
        finally:
            race.tracker.close()
    print_outcome(race.run, console)


def _labels(chosen: "HydraConf", run: Path, access: str) -> "Labels":
    """On W&B a race is grouped by its experiment; a member of a sweep by its sweep, and named by its overrides."""
    from arena.tracking.tracker import Labels

    choices = chosen.runtime.choices
    name, group = run.name, str(choices.get("experiment"))
    if not OmegaConf.is_missing(chosen.job, "num"):
        varied = [
            given for given in chosen.overrides.task if not given.startswith(("run_dir=", "cache_dir=", "logger"))
        ]
        name, group = " ".join([name, *varied]), f"{group}/{run.parent.name}"
    return Labels(name, group, access, [f"{key}={choices[key]}" for key in TAGS if choices.get(key)])


def _refuse(error: Exception) -> None:
    """One line that says what to put right, and exit code 2."""
    causes = _causes(error)
    ours = next((str(cause) for cause in causes if isinstance(cause, ArenaError)), None)
    # Hydra names the key or the options there are, and OmegaConf, its cause, says first what it expected.
    hydras = ": ".join([_WORDY.sub("", str(error)), *(str(cause).partition("\n")[0] for cause in causes[1:])])
    if not any(override.partition("=")[0].strip("+~") in hydras for override in sys.argv[1:]):
        hydras = f"{getattr(error, 'override', ' '.join(sys.argv[1:]))}: {hydras}"
    print(f"arena: {' '.join((ours or hydras).split())}", file=sys.stderr)
    sys.exit(2)


def _causes(error: BaseException) -> list[BaseException]:
    """An error and what it came from, down to the first of them."""
    found = [error]
    while (cause := found[-1].__cause__) is not None and cause not in found:
        found.append(cause)
    return found


def _interrupted(how: str = "") -> None:
    """How to go on, and exit code 130."""
    print(f"arena: interrupted{how}", file=sys.stderr)
    sys.exit(130)


def main() -> None:
    """The entry point ``arena`` and ``python -m arena``."""
    # Hydra then raises what it would otherwise print over several lines before it ends with exit code 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    wait_shortly()
    register()
    try:
        _race()
    except (HydraException, OmegaConfBaseException) as error:
        _refuse(error)
    except ValueError as error:
        if HydraConfig.initialized():
            raise
        _refuse(error)  # of an override, before there is a config
    except KeyboardInterrupt:
        _interrupted()


if __name__ == "__main__":
    main()
