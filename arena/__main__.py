"""The command line: compose, build, race, report. Nothing heavy is imported before there is something to run."""

import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from arena.config import ArenaConfig, register
from arena.errors import ArenaError

_HERE = Path(__file__).parent
CONF = _HERE / "conf" if (_HERE / "conf").is_dir() else _HERE.parent / "conf"
"""Inside an installed package; beside it in a checkout."""


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def _race(composed: DictConfig) -> None:
    """One race; Hydra calls it once for every member of a sweep."""
    try:
        _run(composed)
    except (ArenaError, HydraException, OmegaConfBaseException) as error:
        _refuse(error)


def _run(composed: DictConfig) -> None:
    config = OmegaConf.to_object(composed)
    assert isinstance(config, ArenaConfig)

    from rich.console import Console

    from arena.build import build, settings
    from arena.race import is_done, run_race
    from arena.report.console import print_outcome

    console = Console()
    hydra_config = HydraConfig.get()
    arena = build(config, composed, list(hydra_config.overrides.task))
    if is_done(arena) and (arena.run / "verdict.json").is_file():
        console.print(f"{arena.run} holds this race, finished; it is left alone", highlight=False, soft_wrap=True)
    else:
        experiment = str(hydra_config.runtime.choices.get("experiment"))
        arena.tracker.start(arena.run, settings=settings(composed), group=experiment, tags=[arena.access.name])
        try:
            run_race(arena, console)
            arena.tracker.finish(arena.run)
        finally:
            arena.tracker.close()
    print_outcome(arena.run, console)


def _refuse(error: Exception) -> None:
    """One line that says what to put right, and exit code 2."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ArenaError):
        cause = cause.__cause__
    line = " ".join(str(cause or error).split())
    print(f"arena: {line}", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    """The entry point ``arena`` and ``python -m arena``."""
    # Hydra then raises what it would otherwise print over several lines before it ends with exit code 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Threads that sleep while they wait leave their core to the other members of a parallel sweep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    register()
    try:
        _race()
    except (HydraException, OmegaConfBaseException) as error:
        _refuse(error)
    except KeyboardInterrupt:
        print("arena: interrupted; the same command with the same run_dir goes on", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
