"""Estimate the cost of a race before it starts: time from a few steps of each player, disk from the sizes kept."""

import math
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from arena.config.schema import BAG, STACK
from arena.core.degradations import LADDERS
from arena.core.machine import as_many_as_pay, at_once, on_threads
from arena.detectors.base import FittedDetector, LearnedDetector
from arena.detectors.gallery import Gallery, Labelled
from arena.generators.base import TrainableGenerator
from arena.generators.layers import store_channels_last
from arena.imaging.images import to_float
from arena.race.case import VALIDATION_SHARE, labelled
from arena.race.gan_monitor import new_gan
from arena.race.hardening import attackers
from arena.race.opponents import live, matched
from arena.race.phases.calibrate import artefacts, own_artefact
from arena.race.phases.judges import budgets
from arena.race.probes import FOLDS
from arena.race.race import Race
from arena.race.selection import halving
from arena.training import laundering
from arena.training.battery import LEARNING_COST, BatchGroup, crops_of_an_image, train_battery, validations
from arena.training.objectives import Objective
from arena.training.opponents.kernel import Kernel
from arena.training.opponents.live import Live
from arena.training.opponents.opponents import Opponents

STEPS = 16
"""Most timed steps of each player. As many again are taken off, with all that does not grow with the steps."""
MEASURED, MEASURED_VALUES = 1024, 1 << 21
"""Most images, and most values in them, on which features are timed. Steps that see more values are fewer."""
BYTES_PER_SCORE, BYTES_PER_FILE = 14, 1024
"""Of compressed scores, and of a score file's header with its record. Both are upper figures."""


def seconds_of_race(race: Race, beside: bool) -> float:
    """Time a few steps of each player on this machine, and multiply.

    Degradations of an AUC above 0.99 on validation, and judges added at the last round, are left out, since only the
    race shows whether it needs them. Detectors that stop early take less.

    Args:
        race: to forecast.
        beside: whether the judges and the controls of earlier rounds run beside the generator. Each of the two sides
            is then timed on half of the threads, and opponents on all, as they work. Two processes share the judges of
            the last round, which take half as long.
    """
    threads = torch.get_num_threads()
    share = threads // 2 if beside else threads
    with on_threads(share):
        pace = BatteryPace.of(race)
        judged = judging_before_the_last(race, pace)
        with at_once(threads):
            alone = training(race, pace)
    return (max(alone, judged) if beside else alone + judged) + judging_the_last(race, pace.times(share / threads))


def mib_of_race(race: Race) -> float:
    """Return the most disk that a whole race takes, in MiB: banks, weights, and scores with their records."""
    generator = race.new_generator()
    state = generator.state_dict() if isinstance(generator, TrainableGenerator) else {}
    kept = [*race.examples_of.values(), *(race.probing.examples_of.values() if race.resamples(race.rounds) else ())]
    detectors = sum(value.nbytes for each in kept for value in each.state_dict().values())
    gan = 6 * sum(value.nbytes for value in state.values())  # average, two networks, two moments of each
    branches = (len(race.selection.multipliers) + 2) * gan if race.selection.multipliers else 0  # and two snapshots
    bank = race.data.channels * race.data.resolution**2 * (race.bank.train + race.bank.validation + race.bank.test)
    tests, rounds = len(race.judge_reals) + race.bank.test, race.rounds
    judged = rounds * race.judge.seeds + sum(len(each.seeds) for each in budgets(race, rounds).values()) + 1
    judged += sum(len(each.levels).bit_length() for kind, each in LADDERS.items() if kind in race.judge.degradations)
    judged += race.judge.seeds + 1 + sum(share_planted(race, artefact) for artefact in artefacts(race))
    diagonal, cells = rounds + 1, rounds * (rounds + 1)  # of the payoff matrix
    files = judged + diagonal + cells
    scores = (judged + diagonal) * tests + cells * 2 * race.bank.cell
    scored = len(race.techniques) * (BYTES_PER_FILE * files + BYTES_PER_SCORE * scores)
    return ((rounds + 1) * (bank + detectors + gan) + branches + scored) / 2**20


class BatteryPace(NamedTuple):
    """Seconds of the whole battery, with the threads that torch has.

    Args:
        features: per image.
        fit: per image, of detectors that are fitted in one pass.
        fit_any: of such a fit whatever its number of images.
        learn: per image, of detectors that learn by gradient.
        forge: per image of the generator, where fakes are resampled. Without resampling it is left out.
    """

    features: float
    fit: float
    fit_any: float
    learn: float
    forge: float = 0.0

    def times(self, factor: float) -> "BatteryPace":
        """Return all seconds times a factor."""
        return BatteryPace(*(factor * seconds for seconds in self))

    @classmethod
    def of(cls, race: Race) -> "BatteryPace":
        """Measure it on some reals. They stand for both classes, since only the time is read."""
        images = torch.cat([race.judge_reals.images, race.generator_reals.images])
        images = images[: min(MEASURED, max(64, MEASURED_VALUES // images[0].numel()))]
        gallery = Gallery(images, race.evidence, race.machine.device)
        parts = np.array_split(np.arange(len(gallery)), 8)
        learn, stop = labelled(np.concatenate(parts[:3]), np.concatenate(parts[3:6])), labelled(*parts[6:])
        fewer = labelled(parts[0], parts[3])
        fitted = {name: each for name, each in race.examples_of.items() if isinstance(each, FittedDetector)}
        learned = [name for name in race.examples_of if name not in fitted]
        start = time.perf_counter()
        gallery.measure(fitted)
        features = (time.perf_counter() - start) / len(gallery)
        side_by_side = 2 * torch.get_num_threads()
        timed = min(STEPS, max(1, MEASURED_VALUES // (race.battery.batch * images[0].numel())))

        def train(names: Iterable[str], steps: int, learn: Labelled = learn) -> float:
            """Return the time of training new detectors, in as many groups as keep all threads busy, for one group."""
            groups = [
                BatchGroup({name: race.new_detector(name, 0) for name in names}, learn, stop, seed=k)
                for k in range(side_by_side)
            ]
            start, machine = time.perf_counter(), race.machine
            images = steps * race.battery.batch
            train_battery(groups, gallery, settings=race.battery, images=images, fresh=True, machine=machine)
            return (time.perf_counter() - start) / side_by_side

        fit = fit_any = per_image = 0.0
        if fitted:
            # The time is taken as linear in the images, those that stop included.
            seconds, of_fewer = train(fitted, 1), train(fitted, 1, fewer)
            images, fewer_images = len(gallery), len(fewer.which) + len(stop.which)
            fit = max(seconds - of_fewer, 0.0) / (images - fewer_images)
            fit_any = max(seconds - fit * images, 0.0)
        if learned:
            train(learned, 1)  # what the first fit of a process starts is not timed
            longer, shorter = train(learned, 2 * timed), train(learned, timed)  # what starts any fit cancels
            per_image = max(longer - shorter, 0.1 * longer) / (timed * race.battery.batch)
        forge = 0.0
        if race.resamples(race.rounds):
            generator = race.new_generator().to(race.machine.device)
            store_channels_last(generator)
            start = time.perf_counter()
            generator.forge({"test": len(gallery)}, 0, race.generator_reals)
            forge = (time.perf_counter() - start) / len(gallery)
        return cls(features, fit, fit_any, per_image, forge)


def training(race: Race, pace: BatteryPace) -> float:
    """Return the seconds of all generations of the generator and of the detectors in the loop."""
    seconds = (race.rounds + 1) * retraining(race, pace)
    generator = race.new_generator()
    if isinstance(generator, TrainableGenerator):
        per_image, attacked = seconds_per_gan_image(race, generator), seconds_per_attacked_image(race)
        seconds += per_image * (race.schedule.warm_up_images + race.rounds * race.schedule.response_images)
        seconds += attacked * race.rounds * race.schedule.response_images
        seconds += race.rounds * probes_of_selection(race) * probing(race, pace)
    if race.resamples(race.rounds):
        seconds += race.rounds * resampling(race, pace)
    return seconds


def probes_of_selection(race: Race) -> int:
    """Return how often a response is probed: at the start, in each branch, and then after each interval."""
    if not race.selection.multipliers:
        return 0
    batch = race.schedule.batch
    steps = race.schedule.response_images // batch
    rungs = halving(len(race.selection.multipliers), steps, race.selection.share)
    rest = steps - sum(count * each for count, each in rungs)
    return 1 + sum(count for count, _ in rungs) + math.ceil(rest / max(1, race.schedule.evaluate_images // batch))


def probing(race: Race, pace: BatteryPace) -> float:
    """Return the seconds of one probe, whose detectors are of the known techniques."""
    reals, fakes, budget = len(race.data.split.detector), race.probes.fakes, race.probes.images
    each = pace.fit_any + pace.fit * (reals / FOLDS + fakes) + pace.learn * 2 * budget  # half of it to validate
    return known_share(race) * (FOLDS * each + pace.features * (reals + 2 * fakes))


def resampling(race: Race, pace: BatteryPace) -> float:
    """Return the seconds of resampling the banks of one round."""
    tried = len(race.resampling.shrinks) * probing(race, pace)
    candidates = resampled(race, pace, sum([*race.bank.counts.values(), *race.probes.counts.values()]))
    return known_share(race) * retraining(race, pace) + candidates + tried


def resampled(race: Race, pace: BatteryPace, fakes: float) -> float:
    """Return the seconds of forging and scoring the candidates of some fakes. 0 in a race without resampling."""
    if not race.resamples(race.rounds):
        return 0.0
    scored = known_share(race) * (pace.features + pace.learn / LEARNING_COST)
    return race.resampling.factor * fakes * (pace.forge + scored)


def known_share(race: Race) -> float:
    """Return the share of the battery that probes are of. A random critic is taken to cost as much as a technique."""
    return len(race.probing.members) / len(race.members)


def judging_before_the_last(race: Race, pace: BatteryPace) -> float:
    """Return the seconds of judging the controls, and every round but the last."""
    images, seeds = race.judge.images, race.judge.seeds
    planted = sum(share_planted(race, artefact) for artefact in artefacts(race))
    of_controls = judging(race, pace, seeds, images, few=True) + planted * judging(race, pace, 1, images, few=True)
    of_controls += judging(race, pace, 1, images)  # the floor's banks are as large as the generator's
    fakes = (race.rounds - 1) * seeds * (race.bank.train + race.bank.validation)  # those of round 0 come as they are
    return of_controls + race.rounds * judging(race, pace, seeds, images) + resampled(race, pace, max(fakes, 0))


def judging_the_last(race: Race, pace: BatteryPace) -> float:
    """Return the seconds of judging the last round, with every budget but added judges."""
    images, seeds = race.judge.images, race.judge.seeds
    tried = [each for each in budgets(race, race.rounds).values() if not each.added]
    seconds = sum(each.share * judging(race, pace, seeds, each.multiple * images) for each in tried)
    fakes = sum(seeds * (each.multiple * race.bank.train + race.bank.validation) for each in tried if each.share == 1)
    return seconds + resampled(race, pace, fakes) + judging(race, pace, 1, images, few=True)


def retraining(race: Race, pace: BatteryPace) -> float:
    """Return the seconds of one generation of detectors in the loop, which also score the fakes of their round."""
    seen = race.bank.train + race.bank.validation + len(race.data.split.detector)
    return pace.features * (seen + race.bank.test) + pace.fit_any + pace.fit * seen + pace.learn * race.battery.images


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
    each = pace.fit_any + pace.fit * (others + train + validation) + pace.learn * seen
    judged = seeds * folds * each + pace.features * (reals + test + seeds * (train + validation))
    return judged + hardening(race, pace, seeds * train)


def hardening(race: Race, pace: BatteryPace, fakes: int) -> float:
    """Return the seconds of attacking the share of training fakes that hardened judges learn from.

    They include the training of the network that changes some of them, as if every judging trained one.

    Features that have a gradient are taken to cost three times as much with it, as a network's step does.
    """
    judge = race.judge
    if not judge.hardened:
        return 0.0
    step = (pace.learn + LEARNING_COST * pace.features) * len(attackers(race)) / len(race.members)
    descended = judge.hardened * (1 - judge.hardened_laundered) * fakes * judge.hardened_steps
    learned = laundering.STEPS * laundering.BATCH if judge.hardened_laundered else 0
    return (descended + learned) * step


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
    """Return the time per fake of the opponents."""
    if not race.attacked:
        return 0.0
    seconds = 0.0
    with as_many_as_pay(race.data.resolution):
        if isinstance(race.objective, Kernel) and race.matched:
            seconds += matched_seconds(race, race.objective)
        if race.logits is not None and isinstance(race.pool, Live):
            seconds += live_seconds(race, race.pool, race.logits)
        elif race.logits is not None:
            seconds += frozen_seconds(race, race.pool.sample)
    return seconds


def live_seconds(race: Race, rules: Live, objective: Objective) -> float:
    """Return the time per fake of live detectors that learn and pull, with a share of their head start."""
    fakes = race.generator_reals.images
    opponents = live(race, replace(rules, head_start=STEPS), objective, fakes, seed=0)
    first, step = seconds_of_pulls(race, opponents)
    head_start = max(first - step, 0.0) / STEPS * rules.head_start
    return step / race.schedule.batch + head_start / race.schedule.response_images


def matched_seconds(race: Race, rules: Kernel) -> float:
    """Return the time per fake of matched features."""
    return seconds_of_pulls(race, matched(race, rules, race.generator_reals.images, seed=0))[1] / race.schedule.batch


def seconds_of_pulls(race: Race, opponents: Opponents) -> tuple[float, float]:
    """Return the time of the first pull, and the mean time of those after it. Reals stand for the fakes."""
    images = race.generator_reals.images
    places = torch.arange(race.schedule.batch) % len(images)
    fakes, seconds = race.evidence(to_float(images[places]).to(race.machine.device)), list[float]()
    for step in range(STEPS + 1):
        start, rng = time.perf_counter(), torch.Generator(race.machine.device).manual_seed(step)
        opponents.pull(fakes, fakes, rng)
        seconds.append(time.perf_counter() - start)
    return seconds[0], float(np.mean(seconds[1:]))


def frozen_seconds(race: Race, sample: int) -> float:
    """Return the time per fake of frozen detectors: two of each drawn technique, forward and back to the image.

    Only the forward pass is timed, since the head of an untrained detector may have no gradient.
    """
    shape = (race.schedule.batch, race.data.channels, *2 * [race.seen_shape["resolution"]])
    images = race.evidence(torch.zeros(shape, device=race.machine.device))
    seconds = 0.0
    with torch.no_grad():
        for technique in race.attacked:
            detector = race.new_detector(technique, 0).to(race.machine.device).eval()
            detector(images)
            start = time.perf_counter()
            detector(images)
            seconds += time.perf_counter() - start
    drawn = min(sample, len(race.attacked)) / len(race.attacked)
    return LEARNING_COST * 2 * drawn * seconds / race.schedule.batch
