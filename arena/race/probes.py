"""Probe fakes with fresh detectors that learn from reals of the loop, and with no judge.

A generator that knows techniques can do at any time what judges do at the end: train a new detector of each on its
fakes. Such a probe needs reals, and takes those of the detectors in the loop. It sees no judge or reference real.
"""

from dataclasses import replace

import torch

from arena.detectors.gallery import Gallery
from arena.generators.base import TrainableGenerator
from arena.metrics.auc import summarise
from arena.race.case import Case
from arena.race.checkpoints import Bank, to_bank
from arena.race.judging import judge_case
from arena.race.phases.detectors import LoopReals
from arena.race.race import Race
from arena.records.schema import AucEstimate
from arena.training.meter import Meter

FOLDS = 2
"""Folds of the reals of the loop. Probes learn from one and are tested on the other."""


class Probes:
    """Fresh detectors of the known techniques, and the stack over them, cross-fitted on the reals of the loop.

    In a control by random critics they are such critics.

    All fakes of one round are probed alike: reals, folds, first weights and batches are the same. Two sets of fakes
    therefore differ in less noise than the interval of either says.

    The AUC of the stack is the figure to compare. It is 1/2 in the mean where no technique tells anything, and joins
    what the techniques tell. The largest of their AUCs would be above 1/2 by chance alone, the more so the more they
    are.

    Args:
        race: whose generator is probed.
        round_index: of the fakes. GAN-aware techniques know the GAN of the round before.
        meter: counts what probes cost.
    """

    def __init__(self, race: Race, round_index: int, meter: Meter) -> None:
        self.race, self.round_index, self.meter = race, round_index, meter
        self.reals = LoopReals.of(race).whole
        self._probing = replace(race.probing, judge=replace(race.judge, folds=FOLDS))

    @property
    def seed(self) -> int:
        """Seed of the probed fakes, which are of the same z in all states of the generator."""
        return self.race.seed_of("probed", self.round_index)

    def of_generator(self, generator: TrainableGenerator) -> dict[str, AucEstimate]:
        """Probe fakes of a generator, forged as those of a bank."""
        forged = generator.to(self.race.machine.device).forge(
            self.race.probes.counts, self.seed, self.race.generator_reals
        )
        return self(Bank(**{name: to_bank(images, self.race.data.levels) for name, images in forged.items()}))

    def __call__(self, fakes: Bank) -> dict[str, AucEstimate]:
        """Return the AUC of each technique and of the stack, on reals and fakes that no probe learned from."""
        images = torch.cat([self.reals.images, fakes.test, fakes.train, fakes.validation])
        case = Case(
            Gallery(images, self.race.evidence, self.race.machine.device),
            self.reals,
            n_test_reals=len(self.reals),
            n_test_fakes=len(fakes.test),
            n_judge_fakes=(len(fakes.train), len(fakes.validation)),
            first_seed=0,
            round_index=self.round_index,
            crossed=False,
        )
        seed, techniques = self.race.seed_of("probe", self.round_index), list(self._probing.members)
        budget = self.race.probes.images
        (probed,), _ = judge_case(self._probing, case, techniques, seed, [0], images=budget, meter=self.meter)
        return {
            name: AucEstimate(**summarise(each.test, self.race.margin).as_fields()) for name, each in probed.items()
        }
