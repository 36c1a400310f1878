"""Warm-up: the generator as an ordinary GAN, before any detector; one for all conditions of a sweep."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from filelock import FileLock

from arena.arena import Arena
from arena.generators.generator import TrainableGenerator
from arena.phases.phase import Finding
from arena.phases.train import read_curve, train_gan
from arena.progress import Progress
from arena.records import RecordBook


def warm_up(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Train G_0, or take it from the cache.

    The cache is keyed by all that determines it (data and its split, evidence, generator and the files it was made
    from, loss, budget, seed, the code that trains, torch, device and precision) and by nothing of the condition, so
    that every condition branches from the same generator. Parallel members of a sweep wait for the one that trains.
    """
    if not isinstance(arena.new_generator(), TrainableGenerator):
        return Finding([], 0)
    if arena.start is not None:
        shutil.copytree(arena.start.gan, arena.folder(0) / "gan", dirs_exist_ok=True)
        # Its history comes along: a fault of the origin is a fault of every branch.
        return Finding([replace(seen, round=0) for seen in read_curve(arena.start.gan)], 0)
    machine = arena.machine
    versions = f"{code_hash()} {torch.__version__} {machine.device.type} {machine.precision}"
    budget = f"{arena.schedule.warm_up_images} {arena.schedule.evaluate_images} {arena.schedule.batch}"
    which = f"{arena.seed}|{arena.generator_key}|{arena.fingerprint}"
    key = hashlib.sha256(f"{versions}|{budget}|{which}".encode()).hexdigest()[:16]
    cached = arena.cache / "warm_up" / key
    cached.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cached.with_suffix(".lock")):
        if not (cached / "done").exists():
            images = arena.schedule.warm_up_images
            train_gan(arena, progress, round, None, cached.with_suffix(".partial"), cached, images, pressure=None)
        else:
            progress.say(f"warm-up taken from {cached}")
    shutil.copytree(cached, arena.folder(0) / "gan", dirs_exist_ok=True)
    return Finding([*read_curve(cached)], arena.schedule.warm_up_images)


def code_hash() -> str:
    """SHA-256 of the sources a warm-up runs through: changed code takes no old warm-up for a new one."""
    package = Path(__file__).parents[1]
    files = sorted(file for folder in ("generators", "training") for file in (package / folder).glob("*.py"))
    files += [
        package / name
        for name in ("arena.py", "data/split.py", "evidence.py", "images.py", "seeding.py", "phases/train.py")
    ]
    files += sorted((package / "metrics").rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
