"""Measure the cost of a battery on this machine: each technique alone, and all of them in one pass."""

from dataclasses import dataclass

import torch
from rich.table import Table

from arena.bench.speed import table_of, timed
from arena.detectors.gallery import Gallery, score_all
from arena.generators.controls import Oracle
from arena.race.case import Case, cut_fold, labelled, redealt
from arena.race.checkpoints import Bank
from arena.race.race import Race
from arena.training.battery import BatchGroup, train_battery

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

    def table(self) -> Table:
        """Return the techniques, one row each, and the one pass of all in the last row."""
        table = table_of("technique", "parameters", "train s", "scored images/s")
        for name, cost in {**self.alone, "all in one pass": self.together}.items():
            table.add_row(name, f"{cost.parameters:,}", f"{cost.train_seconds:.2f}", f"{cost.scored:,.0f}")
        return table

    def notes(self) -> list[str]:
        """Return the shares of time that one pass saves, and the techniques left out, one line each."""
        trained = sum(cost.train_seconds for cost in self.alone.values())
        scored = 1 / sum(1 / cost.scored for cost in self.alone.values())
        together = self.together
        return [
            f"trained apart {trained:.1f} s, in one pass {together.train_seconds:.1f} s: "
            f"{1 - together.train_seconds / trained:.0%} saved",
            f"scored apart {scored:,.0f} images/s, in one pass {together.scored:,.0f}: "
            f"{1 - scored / together.scored:.0%} of the time saved",
            *(f"left out: {name} {reason}" for name, reason in self.left_out.items()),
        ]


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
    device = race.machine.device
    detectors = {technique: race.new_detector(technique, 0) for technique in techniques}
    images = torch.cat([race.judge_reals.images, race.generator_reals.images])[:SCORED]

    def train() -> None:
        case = Case.of(race, bank.test, redealt(race, bank, [0]), 0, control=True)
        fold = cut_fold(race, case, judge_seed=0, number=0, share=1.0)
        train_battery(
            [BatchGroup(detectors, labelled(*fold.learn), labelled(*fold.stop), seed=0)],
            case.gallery,
            settings=race.battery,
            images=race.judge.images,
            fresh=True,
            machine=race.machine,
        )

    def score() -> None:
        score_all(detectors, Gallery(images, race.evidence, device))

    seconds = timed(train, 1, device).seconds
    fastest = min(timed(score, len(images), device).seconds for _ in range(PASSES))
    parameters = sum(p.numel() for detector in detectors.values() for p in detector.parameters() if p.requires_grad)
    return TechniqueCost(parameters, seconds, 1 / fastest)
