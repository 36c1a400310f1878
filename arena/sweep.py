"""Where the races of a sweep are written: each in a folder of its own, numbered, within one."""

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict


class Sweep(Callback):
    """Lets ``run_dir=`` say where a sweep is written, as it does for a single race: Hydra has another key for that."""

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        """Take the folder over into Hydra's key, here and in what the races of the sweep are composed from."""
        given = [line for line in config.hydra.overrides.task if line.startswith("run_dir=")]
        for line in given:
            override = f"hydra.sweep.dir={line.removeprefix('run_dir=')}"
            with open_dict(config):
                config.hydra.sweep.dir = config.run_dir
                config.hydra.overrides.hydra.append(override)
