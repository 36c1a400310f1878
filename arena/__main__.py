"""The command line: compose, build, race, report. Nothing heavy is imported before there is something to run."""

import os
import sys
from collections.abc import Iterator
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
    sweep = HydraConfig.get().sweep
    if not OmegaConf.is_missing(HydraConfig.get().job, "num"):
        composed.run_dir = str(Path(sweep.dir) / sweep.subdir)
    try:
        _run(composed)
    except (ArenaError, HydraException, OmegaConfBaseException) as error:
        _refuse(error)
    except KeyboardInterrupt:
        _interrupted(sweep.dir)


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
    said = next((str(cause) for cause in _causes(error) if isinstance(cause, ArenaError)), None)
    if said is None:
        # Hydra names the key in its own first paragraph, and OmegaConf, the cause, what was expected in its first line.
        lines = [str(error).partition("\nConfig search path:")[0]]
        lines += [str(cause).partition("\n")[0] for cause in _causes(error.__cause__)]
        said = ": ".join(lines)
    print(f"arena: {' '.join(said.split())}", file=sys.stderr)
    sys.exit(2)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _interrupted(run: str) -> None:
    """How to go on, and exit code 130."""
    print(f"arena: interrupted; the same command with run_dir={run} goes on", file=sys.stderr)
    sys.exit(130)


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
        print("arena: interrupted before anything began", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
