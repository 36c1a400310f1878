"""Estimate the cost of a race before it starts: time from a few steps of each player, disk from the sizes kept."""

import time
from collections.abc import Mapping

import numpy as np
import torch

from arena.core.degradations import LADDERS
from arena.detectors.base import Detector, FittedDetector
from arena.detectors.gallery import Gallery
from arena.generators.base import TrainableGenerator
from arena.race.case import labelled
from arena.race.gan_monitor import new_gan
from arena.race.phases.calibrate import controls
from arena.race.race import Race
from arena.training.battery import Group, train_battery

STEPS = 6
"""Timed steps of each player."""
MEASURED = 192
"""Most images on which features and training are timed."""


def estimate_cost(race: Race) -> tuple[float, float]:
    """Time a few steps of each player on this machine, and multiply.

    Returns:
        Upper bounds of the seconds and MiB of a whole race. Detectors that stop early take less.
    """
    judges, rounds = race.judge.seeds, race.rounds + 1
    # Judgements of a technique: one a round and half of one more at the last, the oracle's, two of planted artefacts
    # (its own and the stack's), one of as few fakes as the oracle's, and one for each level that a degradation tries.
    tried = sum(len(ladder.levels).bit_length() for kind, ladder in LADDERS.items() if kind in race.judge.degradations)
    judgements = race.judge.folds * (judges * (rounds + 0.5 + 1) + 3 + tried)
    examples = race.examples_of
    fitted = {name: detector for name, detector in examples.items() if isinstance(detector, FittedDetector)}
    learned = {name: detector for name, detector in examples.items() if name not in fitted}
    seconds = 0.0
    reals, bank = len(race.judge_reals), race.bank.train + race.bank.validation + race.bank.test
    # Some reals stand for both classes, since only the time is read.
    images = torch.cat([race.judge_reals.images, race.generator_reals.images])[:MEASURED]
    gallery = Gallery(images, race.evidence, race.machine.device)
    if fitted:
        start = time.perf_counter()
        gallery.measure(fitted)
        cases = rounds * 2 + len(controls(race))
        seconds += (time.perf_counter() - start) / len(gallery) * (reals + bank) * cases
        scale = (reals + race.bank.train) / len(gallery)
        seconds += _seconds_to_train(race, gallery, fitted) * max(scale, 1.0) * (judgements + rounds)
    if learned:
        in_loop = race.battery.images / race.judge.images
        scale = race.judge.images / (STEPS * race.battery.batch)
        seconds += _seconds_to_train(race, gallery, learned) * scale * (judgements + in_loop * rounds)
    tensors = sum(value.nbytes for detector in examples.values() for value in detector.state_dict().values())
    generator = race.new_generator()
    if isinstance(generator, TrainableGenerator):
        gan_images = race.schedule.warm_up_images + race.rounds * race.schedule.response_images
        seconds += gan_images * _seconds_per_gan_image(race, generator)
        state = sum(value.nbytes for value in generator.state_dict().values())
        tensors += 6 * state  # average, generator and discriminator, and two moments of each
    pixels = race.data.channels * race.data.resolution**2
    scored = (reals + race.bank.test) * (judges * len(race.techniques))
    return seconds, rounds * (pixels * bank + tensors + 14 * scored) / 2**20


def _seconds_to_train(race: Race, gallery: Gallery, detectors: Mapping[str, Detector]) -> float:
    """Return the time of one fit of fitted detectors, or of ``STEPS`` steps of learned ones."""
    parts = np.array_split(np.arange(len(gallery)), 8)
    learn, stop = labelled(np.concatenate(parts[:3]), np.concatenate(parts[3:6])), labelled(*parts[6:])
    start = time.perf_counter()
    new = {technique: race.new_detector(technique, 0) for technique in detectors}
    train_battery(
        [Group(new, learn, stop, seed=0)],
        gallery,
        settings=race.battery,
        images=STEPS * race.battery.batch,
        fresh=True,
        machine=race.machine,
    )
    return time.perf_counter() - start


def _seconds_per_gan_image(race: Race, generator: TrainableGenerator) -> float:
    """Return the time per real image, after a warm step."""
    gan = new_gan(race, generator, seed=0)
    race.machine.fit(gan, range(1))
    start = time.perf_counter()
    race.machine.fit(gan, range(STEPS))
    return (time.perf_counter() - start) / (STEPS * race.schedule.batch)
