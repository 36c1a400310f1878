"""Arenas and networks for tests, smaller than ``experiment=smoke``. Arenas are built as the command line does."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from arena.cli.main import main
from arena.config.compose import compose_config
from arena.core.progress import Progress
from arena.generators.style import StyleGenerator
from arena.race.build import build_race
from arena.race.loop import run_phases
from arena.race.processes import Phase, Step
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
    "judge.degradations=[]",
    "battery.members.forest.trees=5",
    "resampling=none",
    "access=white_box",  # frozen detectors take a fifth of the time of live ones
    "objective=fool",
    "pool=all",
)
FINISHED = ("race.rounds=2", "judge.degradations=[noise]")
"""Overrides of the ``finished`` race."""
ONE = [f"~battery.members.{name}" for name in ("cnn", "spectrum", "forest")]
UNDRAWN = """
import sys
import arena.report.outcome as outcome
from arena.cli.main import main
outcome.draw_all = lambda *_: []
outcome.write_report = lambda answer: answer.run.path / "verdict.json"
sys.exit(main())
"""
"""A program: the command without figures and report, which take longer than the smallest race."""
FAILING = """
import errno, sys
import arena.race.loop as loop
import arena.report.outcome as outcome
from arena.cli.main import main
run_race = loop.run_race
def failing(race, console):
    if race.seed == 1: raise OSError(errno.ENOSPC, "No space left on device", "/full/disk")
    if race.seed == 2: raise ValueError("as our own code should not")
    return run_race(race, console)
outcome.draw_all = lambda *_: []
outcome.write_report = lambda answer: answer.run.path / "verdict.json"
loop.run_race = failing
sys.exit(main())
"""
"""A program: the same, in which races of two seeds fail, one of them by a bug."""


def smallest(*overrides: str) -> list[str]:
    """Overrides of a race with one detector, which takes a second or two."""
    return [*TINY, "generator.width=8", *ONE, "battery.stack=null", *overrides]


def environment(cwd: Path) -> dict[str, str]:
    """The environment of a command in a folder of its own, on one thread."""
    return os.environ | {"OMP_NUM_THREADS": "1", "ARENA_CACHE": str(cwd / "cache"), "PYTHONPATH": os.getcwd()}


def arena(*arguments: str, cwd: Path, program: str = UNDRAWN) -> subprocess.CompletedProcess[str]:
    """The command as a process, done."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=cwd, env=environment(cwd), capture_output=True, text=True
    )


def arena_in(run: Path, *overrides: str) -> Race:
    """The arena of those overrides, its run directory ``run``, its cache beside it."""
    return build_race(compose_config([*overrides, f"run_dir={run}", f"cache_dir={run.parent / 'cache'}"]))


def tiny_arena(run: Path, *overrides: str, generator: str = "style") -> Race:
    """An arena whose whole race takes a few seconds."""
    size = ["generator.width=8"] if generator in ("style", "dcgan") else []
    return arena_in(run, *TINY, f"generator={generator}", *size, *overrides)


def untrained_style_generator(levels: int = 256) -> StyleGenerator:
    """A frozen generator whose images (3, 16, 16) depend on the styles, the noise and the mean of w."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = StyleGenerator(resolution=16, channels=3, levels=levels, width=8, z_dim=6)
        for layer in generator.layers:
            torch.nn.init.constant_(layer.get_parameter("noise_strength"), 0.3)
        generator.eval().requires_grad_(False)
        generator.w_average.copy_(generator.mapping(torch.randn(512, 6)).mean(0))
    return generator


def command(name: str) -> Callable[[Sequence[str]], int]:
    """A subcommand of ``arena``, which returns its exit code."""
    return lambda arguments: main([name, *arguments])


def carry_out_phases(race: Race, *steps: tuple[Phase, int, str]) -> None:
    """Carry out some phases of a race, without a word."""
    run_phases(race, RecordBook(race.run), [Step(*step) for step in steps], Progress())
