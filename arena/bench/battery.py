"""What a battery costs on this machine: each technique alone, and all of them in one pass."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from arena.detectors.base import Detector
from arena.detectors.gallery import Gallery, score_all
from arena.generators.controls import Oracle
from arena.race.judging import Case, cut_fold, labelled
from arena.race.layout import Bank
from arena.race.race import Race
from arena.training.battery import train_battery

SCORED = 512
"""Images in the pass that is timed, or as many as there are."""
PASSES = 3
"""Of scoring; the fastest counts, since what disturbs only slows."""


@dataclass(frozen=True)
class TechniqueCost:
    """Of one technique, or of several in one pass.

    Args:
        parameters: that learn by gradient.
        train_seconds: of one fold's judge with its whole budget, its features included.
        scored: images a second, from uint8 to logits.
    """

    parameters: int
    train_seconds: float
    scored: float


@dataclass(frozen=True)
class BatteryCosts:
    """Every technique alone, and all of them together.

    Args:
        alone: by technique.
        together: in one pass.
        left_out: why others do not apply.
    """

    alone: dict[str, TechniqueCost]
    together: TechniqueCost
    left_out: dict[str, str]

    @property
    def training_saved(self) -> float:
        """Share of the separate trainings' time that one pass saves."""
        return 1 - self.together.train_seconds / sum(cost.train_seconds for cost in self.alone.values())

    @property
    def scoring_saved(self) -> float:
        """Share of the separate passes' time that one pass of scoring saves."""
        return 1 - (1 / self.together.scored) / sum(1 / cost.scored for cost in self.alone.values())


def battery_costs(race: Race) -> BatteryCosts:
    """Train and score on reals of both labels: only the clock is read."""
    forged = Oracle(**race.shape).forge(race.bank.counts, race.seed_of("bench"), race.generator_reals)
    bank = Bank.of(forged, race.data.levels)
    together = _cost(race, bank, list(race.members))
    alone = {technique: _cost(race, bank, [technique]) for technique in race.members}
    again = _cost(race, bank, list(race.members))  # before and after, so that a change of pace favours neither
    mean = TechniqueCost(
        together.parameters,
        (together.train_seconds + again.train_seconds) / 2,
        2 / (1 / together.scored + 1 / again.scored),
    )
    return BatteryCosts(alone, mean, race.left_out)


def _cost(race: Race, bank: Bank, techniques: list[str]) -> TechniqueCost:
    detectors = {technique: race.new_detector(technique, 0) for technique in techniques}
    start = time.perf_counter()
    case = Case.of(race, bank, 0, control=True)
    fold = cut_fold(race, case, 0, share=1.0)
    train_battery(
        detectors,
        case.gallery,
        labelled(*fold.learn),
        labelled(*fold.stop),
        settings=race.battery,
        images=race.judge.images,
        fresh=True,
        seed=0,
        machine=race.machine,
    )
    seconds = time.perf_counter() - start
    parameters = sum(p.numel() for its in detectors.values() for p in its.parameters() if p.requires_grad)
    return TechniqueCost(parameters, seconds, _images_a_second(race, detectors))


def _images_a_second(race: Race, detectors: Mapping[str, Detector]) -> float:
    images = torch.cat([race.judge_reals.images, race.generator_reals.images])[:SCORED]
    paces = []
    for _ in range(PASSES):
        start = time.perf_counter()
        score_all(detectors, Gallery(images, race.evidence, race.machine.device))
        paces.append(len(images) / (time.perf_counter() - start))
    return float(np.max(paces))
