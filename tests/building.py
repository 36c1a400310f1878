"""Arenas for tests: composed and built as the command line does, and smaller than ``experiment=smoke``."""

from collections.abc import Callable, Sequence
from pathlib import Path

from arena.cli.main import main
from arena.config.compose import compose_config
from arena.core.progress import Progress
from arena.race.build import build_race
from arena.race.loop import Step, run_phases
from arena.race.race import Race
from arena.records.store import RecordBook

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


def arena_in(run: Path, *overrides: str) -> Race:
    """The arena of those overrides, its run directory ``run``, its cache beside it."""
    return build_race(compose_config([*overrides, f"run_dir={run}", f"cache_dir={run.parent / 'cache'}"]))


def tiny_arena(run: Path, *overrides: str, generator: str = "style") -> Race:
    """An arena whose whole race takes a few seconds."""
    size = ["generator.width=8"] if generator in ("style", "dcgan") else []
    return arena_in(run, *TINY, f"generator={generator}", *size, *overrides)


def command(name: str) -> Callable[[Sequence[str]], int]:
    """A subcommand of ``arena``, which returns its exit code."""
    return lambda arguments: main([name, *arguments])


def carry_out_phases(race: Race, *steps: Step) -> None:
    """Carry out some phases of a race, without a word."""
    run_phases(race, RecordBook(race.run), steps, Progress())
