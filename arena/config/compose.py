"""Compose a configuration with Hydra: the folder conf/, short forms of overrides, and the directory of a sweep."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict

from arena.core.errors import ArenaError

_PACKAGE = Path(__file__).parents[1]
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"
"""The folder of configurations: in an installed package, or beside the package in a checkout."""


def long_form(overrides: Sequence[str]) -> list[str]:
    """Return overrides with ``battery.add=[npr,...]`` written out as one added detector config each.

    A config of a subfolder, such as ``paper/cnn``, is added under the last part of its name.

    >>> long_form(["seed=1", "battery.add=[npr,paper/cnn]"])
    ['seed=1', '+detector@battery.members.npr=npr', '+detector@battery.members.cnn=paper/cnn']

    Raises:
        ArenaError: if the value is no list of detector configs.
    """
    return [part for override in overrides for part in _added(override)]


def _added(override: str) -> list[str]:
    key, _, value = override.partition("=")
    if key != "battery.add":
        return [override]
    try:
        names = OverridesParser.create().parse_override(override).value()
    except HydraException:
        names = None
    if not isinstance(names, list):
        raise ArenaError(f"battery.add={value}: expected a list of detector configs, such as [npr,fft]")
    return [f"+detector@battery.members.{str(name).rpartition('/')[2]}={name}" for name in names]


class SweepDirectory(Callback):
    """Make ``run_dir=`` the directory of a sweep too, for which Hydra has a key of its own."""

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        """Copy the directory to Hydra's key, here and in the overrides of the races of the sweep."""
        given = [override for override in config.hydra.overrides.task if override.startswith("run_dir=")]
        for override in given:
            with open_dict(config):
                config.hydra.sweep.dir = config.run_dir
                config.hydra.overrides.hydra.append(f"hydra.sweep.dir={override.removeprefix('run_dir=')}")
