"""Warm-up: the generator as an ordinary GAN, before any detector; one for all conditions of a sweep."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from filelock import FileLock

from arena.core.progress import Progress
from arena.generators.base import TrainableGenerator
from arena.race.gan_monitor import read_curve, train_gan
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.store import RecordBook


def warm_up(race: Race, book: RecordBook, progress: Progress, round_index: int, player: str) -> PhaseOutput:
    """Train G_0, or take it from the cache.

    The cache is keyed by all that determines it (data and its split, evidence, generator and the files it was made
    from, loss, budget, seed, the code that trains, torch, device and precision) and by nothing of the condition, so
    that every condition branches from the same generator. Parallel members of a sweep wait for the one that trains.
    """
    if not isinstance(race.new_generator(), TrainableGenerator):
        return PhaseOutput([], 0)
    if race.start is not None:
        shutil.copytree(race.start.gan, race.folder(0) / "gan", dirs_exist_ok=True)
        # Its history comes along: a fault of the origin is a fault of every branch.
        return PhaseOutput([replace(seen, round=0) for seen in read_curve(race.start.gan)], 0)
    machine = race.machine
    versions = f"{code_hash()} {torch.__version__} {machine.device.type} {machine.precision}"
    budget = f"{race.schedule.warm_up_images} {race.schedule.evaluate_images} {race.schedule.batch}"
    which = f"{race.seed}|{race.generator_key}|{race.fingerprint}"
    key = hashlib.sha256(f"{versions}|{budget}|{which}".encode()).hexdigest()[:16]
    cached = race.cache / "warm_up" / key
    cached.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cached.with_suffix(".lock")):
        if not (cached / "done").exists():
            images = race.schedule.warm_up_images
            train_gan(race, progress, round_index, None, cached.with_suffix(".partial"), cached, images, None)
        else:
            progress.say(f"warm-up taken from {cached}")
    shutil.copytree(cached, race.folder(0) / "gan", dirs_exist_ok=True)
    return PhaseOutput([*read_curve(cached)], race.schedule.warm_up_images)


def code_hash() -> str:
    """SHA-256 of the sources a warm-up runs through: changed code takes no old warm-up for a new one."""
    package = Path(__file__).parents[2]
    files = sorted(file for folder in ("generators", "training") for file in (package / folder).glob("*.py"))
    files += [
        package / name
        for name in (
            "race/race.py",
            "race/gan_monitor.py",
            "data/split.py",
            "imaging/evidence.py",
            "imaging/images.py",
            "core/seeding.py",
        )
    ]
    files += sorted((package / "metrics").rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
