"""What a race will cost, said before it starts: time from a few steps of each player, disk from the sizes kept."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from arena.arena import Arena
from arena.degradation import LADDERS
from arena.detectors.detector import Detector, FittedDetector
from arena.detectors.gallery import Gallery
from arena.generators.generator import TrainableGenerator
from arena.phases.calibrate import controls
from arena.phases.case import labelled
from arena.phases.train import new_gan
from arena.training.detecting import train_battery
from arena.training.trainer import ticks

STEPS = 6
LOOKED_AT = 192
"""Most images a technique's features are timed on."""


@dataclass(frozen=True)
class Forecast:
    """Seconds and MiB of a whole race, both from above: detectors that stop early take less."""

    seconds: float
    disk_mib: float


def foresee(arena: Arena) -> Forecast:
    """Measure a few steps of each player on this machine, and count."""
    judges, rounds = arena.judge.seeds, arena.rounds + 1
    # Judgements of a technique: each round, half of one more at the last, the oracle's, its artefact's and the stack's,
    # and those of every rung that is tried of a degradation.
    rungs = sum(len(ladder.levels).bit_length() for kind, ladder in LADDERS.items() if kind in arena.judge.degradations)
    judgements = arena.judge.folds * (judges * (rounds + 0.5 + 1) + 2 + rungs)
    fitted = {name: its for name, its in arena.examples_of.items() if isinstance(its, FittedDetector)}
    learned = {name: its for name, its in arena.examples_of.items() if name not in fitted}
    seconds = 0.0
    looked_at, bank = len(arena.judge_reals), arena.bank.train + arena.bank.validation + arena.bank.test
    gallery = _gallery(arena)
    if fitted:
        start = time.perf_counter()
        gallery.measure(fitted)
        cases = rounds * 2 + len(controls(arena))
        seconds += (time.perf_counter() - start) / len(gallery) * (looked_at + bank) * cases
        scale = (looked_at + arena.bank.train) / len(gallery)
        seconds += _seconds_to_train(arena, gallery, fitted) * max(scale, 1.0) * (judgements + rounds)
    if learned:
        in_loop = arena.battery.images / arena.judge.images
        scale = arena.judge.images / (STEPS * arena.battery.batch)
        seconds += _seconds_to_train(arena, gallery, learned) * scale * (judgements + in_loop * rounds)
    tensors = sum(value.nbytes for its in arena.examples_of.values() for value in its.state_dict().values())
    gan_images = arena.schedule.warm_up_images + arena.rounds * arena.schedule.response_images
    generator = arena.new_generator()
    if isinstance(generator, TrainableGenerator):
        seconds += gan_images * _seconds_of_gan(arena, generator)
        state = sum(value.nbytes for value in generator.state_dict().values())
        tensors += 6 * state  # average, generator and discriminator, and two moments of each
    pixels = arena.data.channels * arena.data.resolution**2
    scored = (len(arena.judge_reals) + arena.bank.test) * (arena.judge.seeds * len(arena.techniques))
    return Forecast(seconds, rounds * (pixels * bank + tensors + 14 * scored) / 2**20)


def _gallery(arena: Arena) -> Gallery:
    """Some reals, which stand for both classes: only the clock is read."""
    images = torch.cat([arena.judge_reals.images, arena.generator_reals.images])
    return Gallery(images[:LOOKED_AT], arena.evidence, arena.machine.device)


def _seconds_to_train(arena: Arena, gallery: Gallery, detectors: Mapping[str, Detector]) -> float:
    """Of the fits of these, or of ``STEPS`` steps."""
    quarters = np.array_split(np.arange(len(gallery)), 8)
    learn, stop = labelled(np.concatenate(quarters[:3]), np.concatenate(quarters[3:6])), labelled(*quarters[6:])
    start = time.perf_counter()
    train_battery(
        {technique: arena.new_detector(technique, 0) for technique in detectors},
        gallery,
        learn,
        stop,
        settings=arena.battery,
        images=STEPS * arena.battery.batch,
        fresh=True,
        seed=0,
        machine=arena.machine,
    )
    return time.perf_counter() - start


def _seconds_of_gan(arena: Arena, generator: TrainableGenerator) -> float:
    """Of one image, after a warming step."""
    gan = new_gan(arena, generator, seed=0)
    arena.machine.fit(gan, ticks(0, 1))
    start = time.perf_counter()
    arena.machine.fit(gan, ticks(0, STEPS))
    return (time.perf_counter() - start) / (STEPS * arena.schedule.batch)
