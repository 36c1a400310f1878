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

from arena.config import ArenaConfig, register
from arena.errors import ArenaError
from arena.threads import wait_shortly

if TYPE_CHECKING:
    from hydra.conf import HydraConf

    from arena.tracking.begin import Labels

_HERE = Path(__file__).parent
CONF = _HERE / "conf" if (_HERE / "conf").is_dir() else _HERE.parent / "conf"
"""Inside an installed package; beside it in a checkout."""
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

    from arena.answer.declared import read_config
    from arena.build import build
    from arena.race import is_done, run_race
    from arena.report.console import print_outcome

    console = Console()
    hydra_config = HydraConfig.get()
    arena = build(config, composed, list(hydra_config.overrides.task))
    if is_done(arena) and (arena.run / "verdict.json").is_file():
        console.print(f"{arena.run} holds this race, finished; it is left alone", highlight=False, soft_wrap=True)
    else:
        arena.tracker.start(
            arena.run, settings=read_config(arena.run), labels=_labels(hydra_config, arena.run, arena.access.name)
        )
        try:
            run_race(arena, console)
            arena.tracker.finish(arena.run)
        finally:
            arena.tracker.close()
    print_outcome(arena.run, console)


def _labels(chosen: "HydraConf", run: Path, access: str) -> "Labels":
    """On W&B a race is grouped by its experiment; a member of a sweep by its sweep, and named by its overrides."""
    from arena.tracking.begin import Labels

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
