"""Estimate the cost of a race before it starts: time from a few steps of each player, disk from the sizes kept."""

import time
from typing import NamedTuple

import numpy as np
import torch

from arena.config.schema import BAG, STACK
from arena.core.machine import as_many_as_pay
from arena.detectors.base import FittedDetector, LearnedDetector
from arena.detectors.gallery import Gallery
from arena.generators.base import TrainableGenerator
from arena.race.case import VALIDATION_SHARE, labelled
from arena.race.gan_monitor import new_gan
from arena.race.phases.calibrate import ORACLE, controls, own_artefact
from arena.race.phases.judges import budgets
from arena.race.race import Race
from arena.training.battery import LEARNING_COST, BatchGroup, crops_of_an_image, train_battery, validations

STEPS = 8
"""Most timed steps of each player, beyond as many that warm it up."""
MEASURED, MEASURED_VALUES = 1024, 1 << 21
"""Most images, and most values in them, on which features are timed. Steps that see more values are fewer."""


def estimate_cost(race: Race, beside: bool) -> tuple[float, float]:
    """Time a few steps of each player on this machine, and multiply.

    Degradations of a pinned AUC and judges added at the last round are left out, since most races have none. Detectors
    that stop early take less.

    Args:
        race: the race.
        beside: whether the judges and the controls of earlier rounds run beside the generator, on half of the threads.

    Returns:
        Seconds and MiB of a whole race.
    """
    pace = BatteryPace.of(race)
    judge, seeds, rounds = race.judge, race.judge.seeds, race.rounds
    calibrated = sum(
        judging(race, pace, seeds, judge.images, few=True)
        if player == ORACLE
        else share_planted(race, player) * judging(race, pace, 1, judge.images, few=True)
        for player in controls(race)
    )
    earlier = rounds * judging(race, pace, seeds, judge.images)
    tried = [each for each in budgets(race, rounds).values() if not each.added]
    last = sum(each.share * judging(race, pace, seeds, each.multiple * judge.images) for each in tried)
    last += judging(race, pace, 1, judge.images, few=True)
    trained = race.bank.train + race.bank.validation + len(race.data.split.detector)
    retrained = pace.features * (trained + race.bank.test) + pace.fit * trained + pace.learn * race.battery.images
    generator = race.new_generator()
    alone, state = (rounds + 1) * retrained, 0
    if isinstance(generator, TrainableGenerator):
        per_image, attacked = seconds_per_gan_image(race, generator), seconds_per_attacked_image(race)
        alone += per_image * (race.schedule.warm_up_images + rounds * race.schedule.response_images)
        alone += attacked * rounds * race.schedule.response_images
        state = sum(value.nbytes for value in generator.state_dict().values())
    if beside:
        threads = torch.get_num_threads()
        seconds = max(alone, (calibrated + earlier) * threads / (threads // 2)) + last
    else:
        seconds = calibrated + alone + earlier + last
    tensors = sum(value.nbytes for each in race.examples_of.values() for value in each.state_dict().values())
    tensors += 6 * state  # average, generator and discriminator, and two moments of each
    pixels = race.data.channels * race.data.resolution**2
    bank = race.bank.train + race.bank.validation + race.bank.test
    scored = (len(race.judge_reals) + race.bank.test) * (seeds + 2) * len(race.techniques)
    return seconds, (rounds + 1) * (pixels * bank + tensors + 14 * scored) / 2**20


class BatteryPace(NamedTuple):
    """Seconds of the whole battery, with all threads: features and fits per image, learning by gradient per image."""

    features: float
    fit: float
    learn: float

    @classmethod
    def of(cls, race: Race) -> "BatteryPace":
        """Measure it on some reals. They stand for both classes, since only the time is read."""
        images = torch.cat([race.judge_reals.images, race.generator_reals.images])
        images = images[: min(MEASURED, max(64, MEASURED_VALUES // images[0].numel()))]
        gallery = Gallery(images, race.evidence, race.machine.device)
        parts = np.array_split(np.arange(len(gallery)), 8)
        learn, stop = labelled(np.concatenate(parts[:3]), np.concatenate(parts[3:6])), labelled(*parts[6:])
        fitted = {name: each for name, each in race.examples_of.items() if isinstance(each, FittedDetector)}
        learned = [name for name in race.examples_of if name not in fitted]
        start = time.perf_counter()
        gallery.measure(fitted)
        features = (time.perf_counter() - start) / len(gallery)
        side_by_side = 2 * torch.get_num_threads()
        timed = min(STEPS, max(1, MEASURED_VALUES // (race.battery.batch * images[0].numel())))

        def train(names: list[str], steps: int) -> float:
            """Return the time of training new detectors, in as many groups as keep all threads busy, for one group."""
            groups = [
                BatchGroup({name: race.new_detector(name, 0) for name in names}, learn, stop, seed=k)
                for k in range(side_by_side)
            ]
            start, machine = time.perf_counter(), race.machine
            images = steps * race.battery.batch
            train_battery(groups, gallery, settings=race.battery, images=images, fresh=True, machine=machine)
            return (time.perf_counter() - start) / side_by_side

        fit = train(list(fitted), 1) / len(gallery) if fitted else 0.0
        if not learned:
            return cls(features, fit, 0.0)
        longer, shorter = train(learned, 2 * timed), train(learned, timed)  # what starts a fit cancels
        return cls(features, fit, max(longer - shorter, 0.1 * longer) / (timed * race.battery.batch))


def judging(race: Race, pace: BatteryPace, seeds: int, images: int, few: bool = False) -> float:
    """Return the seconds of judging one bank with the judges of some seeds.

    Args:
        race: of the judges.
        pace: of this machine.
        seeds: judge seeds.
        images: budget of a judge.
        few: whether the fakes are as few as a control's.
    """
    reals, folds = len(race.judge_reals), race.judge.folds
    train, validation, test = race.bank.train * images // race.judge.images, race.bank.validation, race.bank.test
    if few:
        share = min(1.0, len(race.generator_reals) / (train + validation + test))
        train, validation, test = (round(share * count) for count in (train, validation, test))
    others = reals * (1 - 1 / folds)
    stop = VALIDATION_SHARE * others + validation
    crops = crops_of_an_image(each for each in race.examples_of.values() if isinstance(each, LearnedDetector))
    scored = (1 + validations(images, race.battery.batch, crops * stop)) * stop + (reals + test) / folds
    seen = images + crops * scored / LEARNING_COST
    each = pace.fit * (others + train + validation) + pace.learn * seen
    return seeds * folds * each + pace.features * (reals + test + seeds * (train + validation))


def share_planted(race: Race, artefact: str) -> float:
    """Return the share of the battery that judges a planted artefact. The stack needs all members."""
    own = {technique for technique in race.techniques if own_artefact(race, technique) == artefact}
    return 1.0 if own & {STACK, BAG} else len(own) / len(race.members)


def seconds_per_gan_image(race: Race, generator: TrainableGenerator) -> float:
    """Return the time of the GAN alone per real image. What starts a fit cancels between two of them."""
    gan = new_gan(race, generator, seed=0)
    seconds = []
    with as_many_as_pay(race.data.resolution):
        for steps in (1, STEPS, 2 * STEPS):
            start = time.perf_counter()
            race.machine.fit(gan, range(steps))
            seconds.append(time.perf_counter() - start)
    return max(seconds[2] - seconds[1], 0.1 * seconds[2]) / (STEPS * race.schedule.batch)


def seconds_per_attacked_image(race: Race) -> float:
    """Return the time per fake of the attacked detectors: two of each drawn technique, forward and back to the image.

    Only the forward pass is timed, since the head of an untrained detector may have no gradient.
    """
    if not race.attacked:
        return 0.0
    shape = (race.schedule.batch, race.data.channels, *2 * [race.seen_shape["resolution"]])
    images = race.evidence(torch.zeros(shape, device=race.machine.device))
    seconds = 0.0
    with torch.no_grad(), as_many_as_pay(race.data.resolution):
        for technique in race.attacked:
            detector = race.new_detector(technique, 0).to(race.machine.device).eval()
            detector(images)
            start = time.perf_counter()
            detector(images)
            seconds += time.perf_counter() - start
    drawn = min(race.pool.sample, len(race.attacked)) / len(race.attacked)
    return LEARNING_COST * 2 * drawn * seconds / race.schedule.batch
