"""Measure the cost of a battery on this machine: each technique alone, and all of them in one pass."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table

from arena.detectors.base import Detector
from arena.detectors.gallery import Gallery, score_all
from arena.generators.controls import Oracle
from arena.race.checkpoints import Bank
from arena.race.judging import Case, cut_fold, labelled
from arena.race.race import Race
from arena.training.battery import train_battery

SCORED = 512
"""Most images of a timed scoring pass."""
PASSES = 3
"""Scoring passes. The fastest counts, since disturbances only slow."""


@dataclass(frozen=True)
class TechniqueCost:
    """Cost of one technique, or of several in one pass.

    Args:
        parameters: that learn by gradient.
        train_seconds: of the judge of one fold with its whole budget, features included.
        scored: images per second, from uint8 to logits.
    """

    parameters: int
    train_seconds: float
    scored: float


@dataclass(frozen=True)
class BatteryCosts:
    """Costs of every technique alone, and of all of them together.

    Args:
        alone: by technique.
        together: in one pass.
        left_out: reasons of the techniques that do not apply.
    """

    alone: dict[str, TechniqueCost]
    together: TechniqueCost
    left_out: dict[str, str]

    @property
    def training_saved(self) -> float:
        """Share of the separate training time that one pass saves."""
        return 1 - self.together.train_seconds / sum(cost.train_seconds for cost in self.alone.values())

    @property
    def scoring_saved(self) -> float:
        """Share of the separate scoring time that one pass saves."""
        return 1 - (1 / self.together.scored) / sum(1 / cost.scored for cost in self.alone.values())


def battery_costs(race: Race) -> BatteryCosts:
    """Train and score on reals of both labels, and time it."""
    forged = Oracle(**race.shape).forge(race.bank.counts, race.seed_of("bench"), race.generator_reals)
    bank = Bank.of(forged, race.data.levels)
    before = _cost(race, bank, list(race.members))
    alone = {technique: _cost(race, bank, [technique]) for technique in race.members}
    after = _cost(race, bank, list(race.members))  # a steady change of pace favours neither
    together = TechniqueCost(
        before.parameters,
        (before.train_seconds + after.train_seconds) / 2,
        2 / (1 / before.scored + 1 / after.scored),
    )
    return BatteryCosts(alone, together, race.left_out)


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
    parameters = sum(p.numel() for detector in detectors.values() for p in detector.parameters() if p.requires_grad)
    return TechniqueCost(parameters, seconds, _images_per_second(race, detectors))


def _images_per_second(race: Race, detectors: Mapping[str, Detector]) -> float:
    images = torch.cat([race.judge_reals.images, race.generator_reals.images])[:SCORED]
    rates = []
    for _ in range(PASSES):
        start = time.perf_counter()
        score_all(detectors, Gallery(images, race.evidence, race.machine.device))
        rates.append(len(images) / (time.perf_counter() - start))
    return max(rates)


def battery_table(costs: BatteryCosts) -> Table:
    """Tabulate the techniques, one row each, and the one pass of all in the last row."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("technique")
    for name in ("parameters", "train s", "scored images/s"):
        table.add_column(name, justify="right")
    for name, cost in {**costs.alone, "all in one pass": costs.together}.items():
        table.add_row(name, f"{cost.parameters:,}", f"{cost.train_seconds:.2f}", f"{cost.scored:,.0f}")
    return table


def battery_notes(costs: BatteryCosts) -> list[str]:
    """Return the savings of one pass and the techniques left out, one line each."""
    alone = sum(cost.train_seconds for cost in costs.alone.values())
    separate = 1 / sum(1 / cost.scored for cost in costs.alone.values())
    return [
        f"trained apart {alone:.1f} s, in one pass {costs.together.train_seconds:.1f} s: "
        f"{costs.training_saved:.0%} saved",
        f"scored apart {separate:,.0f} images/s, in one pass {costs.together.scored:,.0f}: "
        f"{costs.scoring_saved:.0%} of the time saved",
        *(f"left out: {name} {reason}" for name, reason in costs.left_out.items()),
    ]
