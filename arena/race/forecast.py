"""What a race will cost, said before it starts: time from a few steps of each player, disk from the sizes kept."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from arena.detectors.base import Detector, FittedDetector
from arena.detectors.gallery import Gallery
from arena.generators.base import TrainableGenerator
from arena.imaging.ladders import LADDERS
from arena.race.gan_monitor import new_gan
from arena.race.judging import labelled
from arena.race.phases.calibrate import controls
from arena.race.race import Race
from arena.training.battery import train_battery
from arena.training.machine import step_loader

STEPS = 6
LOOKED_AT = 192
"""Most images a technique's features are timed on."""


@dataclass(frozen=True)
class CostEstimate:
    """Seconds and MiB of a whole race, both from above: detectors that stop early take less."""

    seconds: float
    disk_mib: float


def estimate_cost(race: Race) -> CostEstimate:
    """Measure a few steps of each player on this machine, and count."""
    judges, rounds = race.judge.seeds, race.rounds + 1
    # Judgements of a technique: each round, half of one more at the last, the oracle's, its artefact's and the stack's,
    # and those of every rung that is tried of a degradation.
    rungs = sum(len(ladder.levels).bit_length() for kind, ladder in LADDERS.items() if kind in race.judge.degradations)
    judgements = race.judge.folds * (judges * (rounds + 0.5 + 1) + 2 + rungs)
    fitted = {name: its for name, its in race.examples_of.items() if isinstance(its, FittedDetector)}
    learned = {name: its for name, its in race.examples_of.items() if name not in fitted}
    seconds = 0.0
    looked_at, bank = len(race.judge_reals), race.bank.train + race.bank.validation + race.bank.test
    gallery = _gallery(race)
    if fitted:
        start = time.perf_counter()
        gallery.measure(fitted)
        cases = rounds * 2 + len(controls(race))
        seconds += (time.perf_counter() - start) / len(gallery) * (looked_at + bank) * cases
        scale = (looked_at + race.bank.train) / len(gallery)
        seconds += _seconds_to_train(race, gallery, fitted) * max(scale, 1.0) * (judgements + rounds)
    if learned:
        in_loop = race.battery.images / race.judge.images
        scale = race.judge.images / (STEPS * race.battery.batch)
        seconds += _seconds_to_train(race, gallery, learned) * scale * (judgements + in_loop * rounds)
    tensors = sum(value.nbytes for its in race.examples_of.values() for value in its.state_dict().values())
    gan_images = race.schedule.warm_up_images + race.rounds * race.schedule.response_images
    generator = race.new_generator()
    if isinstance(generator, TrainableGenerator):
        seconds += gan_images * _seconds_of_gan(race, generator)
        state = sum(value.nbytes for value in generator.state_dict().values())
        tensors += 6 * state  # average, generator and discriminator, and two moments of each
    pixels = race.data.channels * race.data.resolution**2
    scored = (len(race.judge_reals) + race.bank.test) * (race.judge.seeds * len(race.techniques))
    return CostEstimate(seconds, rounds * (pixels * bank + tensors + 14 * scored) / 2**20)


def _gallery(race: Race) -> Gallery:
    """Some reals, which stand for both classes: only the clock is read."""
    images = torch.cat([race.judge_reals.images, race.generator_reals.images])
    return Gallery(images[:LOOKED_AT], race.evidence, race.machine.device)


def _seconds_to_train(race: Race, gallery: Gallery, detectors: Mapping[str, Detector]) -> float:
    """Of the fits of these, or of ``STEPS`` steps."""
    quarters = np.array_split(np.arange(len(gallery)), 8)
    learn, stop = labelled(np.concatenate(quarters[:3]), np.concatenate(quarters[3:6])), labelled(*quarters[6:])
    start = time.perf_counter()
    train_battery(
        {technique: race.new_detector(technique, 0) for technique in detectors},
        gallery,
        learn,
        stop,
        settings=race.battery,
        images=STEPS * race.battery.batch,
        fresh=True,
        seed=0,
        machine=race.machine,
    )
    return time.perf_counter() - start


def _seconds_of_gan(race: Race, generator: TrainableGenerator) -> float:
    """Of one image, after a warming step."""
    gan = new_gan(race, generator, seed=0)
    race.machine.fit(gan, step_loader(0, 1))
    start = time.perf_counter()
    race.machine.fit(gan, step_loader(0, STEPS))
    return (time.perf_counter() - start) / (STEPS * race.schedule.batch)
