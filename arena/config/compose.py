"""Compose a configuration with Hydra: where conf/ lies, and the directory of a sweep."""

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

if TYPE_CHECKING:
    pass
from hydra.experimental.callback import Callback
from omegaconf import open_dict

_PACKAGE = Path(__file__).parents[1]
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"
"""Inside an installed package; beside it in a checkout."""


class SweepDirectory(Callback):
    """Lets ``run_dir=`` say where a sweep is written, as it does for a single race: Hydra has another key for that."""

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        """Take the folder over into Hydra's key, here and in what the races of the sweep are composed from."""
        given = [line for line in config.hydra.overrides.task if line.startswith("run_dir=")]
        for line in given:
            override = f"hydra.sweep.dir={line.removeprefix('run_dir=')}"
            with open_dict(config):
                config.hydra.sweep.dir = config.run_dir
                config.hydra.overrides.hydra.append(override)
