"""What a race will cost, said before it starts: time from a few steps of each player, disk from the sizes kept."""

import time
from dataclasses import dataclass

from arena.arena import Arena
from arena.detectors.detector import Examples, FittedDetector
from arena.generators.generator import TrainableGenerator
from arena.phases.calibrate import artefacts
from arena.phases.train import new_gan
from arena.training.detecting import train_detector
from arena.training.trainer import ticks

STEPS = 6


@dataclass(frozen=True)
class Forecast:
    """Seconds and MiB of a whole race, both from above: detectors that stop early take less."""

    seconds: float
    disk_mib: float


def foresee(arena: Arena) -> Forecast:
    """Measure a few steps of each player on this machine, and count."""
    judges, rounds = arena.judge.seeds * arena.judge.folds, arena.rounds + 1
    # Judgements of a technique: each round, half of one more at the last, the oracle's, and one seed an artefact.
    judgements = judges * (rounds + 0.5 + 1) + arena.judge.folds * len(artefacts(arena))
    seconds, tensors = 0.0, 0
    for technique, detector in arena.examples_of.items():
        one = _seconds_to_train(arena, technique)
        scale = 1.0 if isinstance(detector, FittedDetector) else arena.judge.images / (STEPS * arena.battery.batch)
        in_loop = 1.0 if isinstance(detector, FittedDetector) else arena.battery.images / arena.judge.images
        seconds += one * scale * (judgements + in_loop * rounds)
        tensors += sum(value.nbytes for value in detector.state_dict().values())
    gan_images = arena.schedule.warm_up_images + arena.rounds * arena.schedule.response_images
    generator = arena.new_generator()
    if isinstance(generator, TrainableGenerator):
        seconds += gan_images * _seconds_of_gan(arena, generator)
        state = sum(value.nbytes for value in generator.state_dict().values())
        tensors += 6 * state  # average, generator and discriminator, and two moments of each
    pixels = arena.data.channels * arena.data.resolution**2
    banks = pixels * (arena.bank.train + arena.bank.validation + arena.bank.test)
    scored = (len(arena.judge_reals) + arena.bank.test) * (arena.judge.seeds * len(arena.techniques))
    return Forecast(seconds, rounds * (banks + tensors + 14 * scored) / 2**20)


def _seconds_to_train(arena: Arena, technique: str) -> float:
    """Of a fit, or of ``STEPS`` steps, on reals of both labels: only the clock is read."""
    reals, others = arena.judge_reals.images, arena.generator_reals.images
    held = max(8, len(reals) // 8)
    detector = arena.new_detector(technique, 0)
    start = time.perf_counter()
    train_detector(
        detector,
        Examples.of(reals[held:], others[held:]),
        Examples.of(reals[:held], others[:held]),
        evidence=arena.evidence,
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
