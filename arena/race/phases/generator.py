"""Train the generator: the warm-up before any detector, and step 7, its response to the detectors."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from arena.core.progress import Progress
from arena.core.seeding import derive_seed
from arena.detectors.gallery import Gallery, score
from arena.generators.base import TrainableGenerator
from arena.race.checkpoints import SHUFFLED, load_bank, load_detector, save_tensors
from arena.race.gan_monitor import read_curve, train_gan
from arena.race.phases.detectors import LoopReals, loop_images
from arena.race.race import PhaseOutput, Race
from arena.training.attack import Member, PoolLoss
from arena.training.battery import BatchGroup, train_battery
from arena.training.equal_norm import Calibrated, EqualNormLoss, calibrated, with_shuffled_labels

CALIBRATED = 256
"""Most fakes at which shuffled-label detectors are calibrated."""
SOURCES = (
    "generators/*.py",
    "training/*.py",
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
    starts from the same generator. Parallel members of a sweep wait for the one that trains.
    """
    if not isinstance(race.new_generator(), TrainableGenerator):
        return PhaseOutput([], 0)
    target = race.layout.gan(0)
    if race.branch is not None:
        shutil.copytree(race.branch.gan, target, dirs_exist_ok=True)
        # A fault of the origin is a fault of every branch.
        return PhaseOutput([replace(record, round=0) for record in read_curve(race.branch.gan)], 0)
    images = race.schedule.warm_up_images
    cached = race.cache / "warm_up" / cache_key(race)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cached.with_suffix(".lock")):
        if (cached / "done").exists():
            progress.say(f"warm-up taken from {cached}")
        else:
            train_gan(race, images, partial=cached.with_suffix(".partial"), target=cached, progress=progress)
    shutil.copytree(cached, target, dirs_exist_ok=True)
    return PhaseOutput([*read_curve(cached)], race.schedule.shown(images))


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
    """Train G_round by its GAN loss and the detector loss of the pool, with the budget of every condition.

    Generator, discriminator, EMA and optimizer state carry over from round to round.
    """
    images, layout = race.schedule.response_images, race.layout
    curve = train_gan(
        race,
        images,
        source=layout.gan(round_index),
        partial=layout.partial_gan,
        target=layout.gan(round_index + 1),
        round_index=round_index,
        detector_loss=detector_loss(race, round_index),
        progress=progress,
    )
    return PhaseOutput([*curve], race.schedule.shown(images))


def detector_loss(race: Race, round_index: int) -> PoolLoss | EqualNormLoss | None:
    """Return the loss of the detectors that a response to this round attacks. None without any."""
    members = race.pool.members(race.attacked, round_index)
    if not members:
        return None
    detectors = {member: load_detector(race, member.technique, member.round) for member in members}
    reals = LoopReals.of(race).validation  # they stopped the detectors, and trained none
    real_logits = {
        member: score(detector, reals, race.evidence).to(race.machine.device) for member, detector in detectors.items()
    }
    attack = PoolLoss(detectors, real_logits, race.pool, race.objective)
    return attack if race.access.labels == "true" else equal_norm_loss(race, attack, round_index)


def equal_norm_loss(race: Race, attack: PoolLoss, round_index: int) -> EqualNormLoss:
    """Return the control of an attack, by shuffled-label detectors in place of the attacked ones.

    Those of this round are trained here. All are calibrated on validation fakes of this round.
    """
    train_shuffled(race, round_index)
    fakes, reals = load_bank(race, round_index).validation[:CALIBRATED], LoopReals.of(race).validation
    seen = Gallery(fakes, race.evidence, race.machine.device).images(torch.arange(len(fakes)))
    controls, real_logits = dict[Member, Calibrated](), dict[Member, Tensor]()
    for member, true in attack.detectors.items():
        detector = load_detector(race, f"{member.technique}.{SHUFFLED}", member.round)
        controls[member] = calibrated(detector.eval().requires_grad_(False), true, seen)
        real_logits[member] = controls[member].forward(score(detector, reals, race.evidence).to(race.machine.device))
    return EqualNormLoss(attack, controls, real_logits)


def train_shuffled(race: Race, round_index: int) -> None:
    """Train a new detector of each attacked technique on the images of a round's retraining, with shuffled labels.

    It has the budget of a detector in the loop, and is kept beside that detector.
    """
    paths = {name: race.layout.detector(round_index, f"{name}.{SHUFFLED}") for name in race.attacked}
    if all(path.exists() for path in paths.values()):
        return
    gallery, train, validation = loop_images(race, round_index)
    seed = race.seed_of("shuffled", round_index)
    detectors = {
        name: race.new_detector(name, derive_seed(seed, "initialise", player=name), round_index) for name in paths
    }
    train = with_shuffled_labels(train, derive_seed(seed, "train"))
    validation = with_shuffled_labels(validation, derive_seed(seed, "validation"))
    train_battery(
        [BatchGroup(detectors, train, validation, seed)],
        gallery,
        settings=race.battery,
        images=race.battery.images,
        fresh=True,
        machine=race.machine,
    )
    for name, path in paths.items():
        save_tensors(detectors[name], path)
