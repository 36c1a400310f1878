"""An arena from overrides, for commands beside the race that judge without racing."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from arena.__main__ import CONF
from arena.arena import Arena
from arena.build import build
from arena.config import ArenaConfig, register
from arena.errors import ArenaError, first_line


def arena_of(overrides: Sequence[str], run: Path) -> Arena:
    """The arena that ``python -m arena`` would race with, its run directory ``run``.

    Raises:
        ArenaError: for an override no arena can be built with.
    """
    register()
    try:
        with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
            composed = compose("config", [*overrides, f"run_dir={run}", "logger=none"])
        config = OmegaConf.to_object(composed)
    except (HydraException, OmegaConfBaseException) as error:
        raise ArenaError(f"{' '.join(overrides)}: {first_line(error)}") from error
    assert isinstance(config, ArenaConfig)
    return build(config, composed, list(overrides))
