"""Arenas for tests: composed and built as the command line does, and smaller than ``experiment=smoke``."""

from collections.abc import Callable, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from arena.cli.main import main
from arena.config.compose import CONF, long_form
from arena.config.schema import ArenaConfig, register
from arena.race.build import build_race
from arena.race.race import Race

TINY = (
    "experiment=smoke",
    "logger=none",
    "schedule.warm_up_images=256",
    "schedule.response_images=128",
    "schedule.batch=16",
    "battery.images=128",
    "battery.batch=16",
    "judge.images=128",
    "judge.folds=2",
    "battery.members.forest.trees=5",
)


def composed(*overrides: str) -> DictConfig:
    """The config the command line would compose."""
    register()
    with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
        return compose("config", long_form(overrides))


def arena_in(run: Path, *overrides: str) -> Race:
    """The arena of those overrides, its run directory ``run``, its cache beside it."""
    paths = (f"run_dir={run}", f"cache_dir={run.parent / 'cache'}")
    config = composed(*overrides, *paths)
    typed = OmegaConf.to_object(config)
    assert isinstance(typed, ArenaConfig)
    return build_race(typed, config)


def tiny_arena(run: Path, *overrides: str, generator: str = "style") -> Race:
    """An arena whose whole race takes a few seconds."""
    size = ["generator.width=8"] if generator in ("style", "dcgan") else []
    return arena_in(run, *TINY, f"generator={generator}", *size, *overrides)


def command(name: str) -> Callable[[Sequence[str]], int]:
    """A subcommand of ``arena``, which returns its exit code."""
    return lambda arguments: main([name, *arguments])
