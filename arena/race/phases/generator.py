"""Train the generator: the warm-up before any detector, and step 7, its response to the detectors."""

import hashlib
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import torch
from filelock import FileLock

from arena.core.files import files_in, is_sealed
from arena.core.progress import Progress
from arena.generators.base import TrainableGenerator
from arena.race.gan_monitor import read_curve, train_gan
from arena.race.opponents import opponents, shuffled_detectors
from arena.race.race import PhaseOutput, Race
from arena.race.selection import respond_selected
from arena.records.schema import GradientRecord
from arena.training.meter import Meter

SOURCES = (
    "generators/*.py",
    "training/**/*.py",
    "metrics/**/*.py",
    "outside/encoders.py",
    "outside/programs.py",
    "race/race.py",
    "race/gan_monitor.py",
    "data/split.py",
    "imaging/evidence.py",
    "imaging/images.py",
    "core/seeding.py",
)
"""Code that a warm-up runs through, relative to the package."""


def warm_up(race: Race, progress: Progress) -> PhaseOutput:
    """Train G_0 as an ordinary GAN, or take it from the cache.

    The key of the cache is all that determines G_0: data and split, evidence, generator and its files, loss, budget,
    seed, the code that trains, torch, device and precision. It holds nothing of the condition, so every condition
    starts from the same generator. Parallel members of a sweep wait for the one that trains. The cost on record is that
    of training, wherever it took place.
    """
    if not isinstance(race.new_generator(), TrainableGenerator):
        return PhaseOutput([], 0)
    target = race.layout.gan(0)
    if race.branch is not None:
        shutil.copytree(race.branch.gan, target, dirs_exist_ok=True)
        # A fault of the origin is a fault of every branch.
        records = [replace(record, round=0) for record in read_curve(race.branch.gan)]
        return PhaseOutput([*records], 0, files=files_in(target))
    images = race.schedule.warm_up_images
    cached = race.cache / "warm_up" / cache_key(race)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cached.with_suffix(".lock")):
        if is_sealed(cached):
            progress.say(f"warm-up taken from {cached}")
        else:
            train_gan(race, images, partial=cached.with_suffix(".partial"), target=cached, progress=progress)
    shutil.copytree(cached, target, dirs_exist_ok=True)
    shown = race.schedule.shown(images)
    return PhaseOutput([*read_curve(cached)], shown, Meter.load(cached).spent, files_in(target))


def cache_key(race: Race) -> str:
    """Return a hash (16 hex digits) of all that determines a warm-up."""
    machine, schedule = race.machine, race.schedule
    versions = f"{code_hash()} {torch.__version__} {machine.device.type} {machine.precision}"
    budget = f"{schedule.warm_up_images} {schedule.evaluate_images} {schedule.batch}"
    settings = f"{race.seed}|{race.warm_up_key}|{race.fingerprint}"
    return hashlib.sha256(f"{versions}|{budget}|{settings}".encode()).hexdigest()[:16]


def code_hash() -> str:
    """Return the SHA-256 (hex) of ``SOURCES``, so that changed code does not reuse an old warm-up."""
    package = Path(__file__).parents[2]
    files = [file for pattern in SOURCES for file in sorted(package.glob(pattern))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def respond(race: Race, round_index: int, progress: Progress) -> PhaseOutput:
    """Train G_round by its GAN loss and against its opponents, with the budget of every condition.

    Generator, discriminator, EMA and optimizer state carry over from round to round. With ``selection``, fresh probes
    choose between branches and snapshots, within the same budget.
    """
    images, layout = race.schedule.response_images, race.layout
    target = layout.gan(round_index + 1)
    if race.selection.multipliers:
        records, spent = respond_selected(race, round_index, progress)
    else:
        records = train_gan(
            race,
            images,
            source=layout.gan(round_index),
            partial=layout.partial_gan(round_index),
            target=target,
            round_index=round_index,
            opponents=opponents(race, round_index),
            progress=progress,
        )
        spent = Meter.load(target).spent
    looked = [
        GradientRecord(round=round_index, seed=race.seed, technique=technique, **asdict(gradients))
        for technique, gradients in Meter.load(target).gradients.items()
    ]
    written = [*files_in(target), *filter(Path.is_file, shuffled_detectors(race, round_index).values())]
    return PhaseOutput([*records, *looked], race.schedule.shown(images), spent, written)
