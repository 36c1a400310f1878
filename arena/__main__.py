"""The command line: compose, build, race, report. Nothing heavy is imported before there is something to run."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from arena.config import ArenaConfig, register
from arena.errors import ArenaError

if TYPE_CHECKING:
    from arena.arena import Arena

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

    from arena.build import build
    from arena.race import run_race
    from arena.report.console import print_outcome

    console = Console(stderr=False)
    arena = build(config, composed)
    arena.tracker.start(
        arena.run,
        settings=OmegaConf.to_container(composed, resolve=True),  # type: ignore[arg-type]
        group=_experiment(),
        tags=[arena.access.name],
    )
    try:
        run_race(arena, console)
        arena.tracker.finish(arena.run)
    finally:
        arena.tracker.close()
    print_outcome(arena.run, console)


def _experiment() -> str:
    return str(hydra.core.hydra_config.HydraConfig.get().runtime.choices.get("experiment"))


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
