"""Hold everything that one race is made of: its data, its players and its budgets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from arena.config.schema import (
    BAG,
    STACK,
    BankConfig,
    BatteryConfig,
    JudgeConfig,
    ProbesConfig,
    ResamplingConfig,
    ScheduleConfig,
    SelectionConfig,
)
from arena.core.errors import error_context, requires
from arena.core.seeding import derive_seed
from arena.core.tensors import load_module
from arena.data.reals import RealData, Reals
from arena.data.split import Purpose
from arena.detectors.base import Detector, FittedDetector, GanAwareDetector, LearnedDetector
from arena.detectors.random_critic import RandomCritic
from arena.detectors.stack import Bag, Stack
from arena.generators.base import Generator, TrainableGenerator
from arena.imaging.evidence import Evidence
from arena.imaging.images import ImageShape
from arena.metrics.features.space import FeatureSpace
from arena.race.branch import Branch
from arena.records.layout import RunLayout
from arena.records.schema import AccessLevel, Record, Spent
from arena.tracking.tracker import Tracker
from arena.training.access import Access
from arena.training.ada import Augmentation
from arena.training.gan import load_part
from arena.training.losses import GanLoss
from arena.training.machine import Machine
from arena.training.objectives import Objective
from arena.training.opponents.frozen import Pool
from arena.training.opponents.kernel import Kernel
from arena.training.opponents.live import Live
from arena.training.opponents.weighting import Weighting


@dataclass(frozen=True, eq=False)
class Race:
    """The context of one race. ``arena.race.build`` makes it from the configuration.

    Args:
        run: run directory.
        cache: folder of the warm-ups, which races share.
        margin: AUC above 1/2 from which a technique catches the generator.
        alpha: one-sided level of each test.
        generator: constructor that only lacks the shape of the images, as those of ``members``.
        warm_up_key: JSON of the settings that determine the warm-up.
        members: constructors of the techniques that apply to the images and the generator.
        stack: constructor that only lacks the number of members.
        branch: last round of another run, from which this race starts (``race.from``).
        attacked_before: techniques that the generator of ``generator.run`` has attacked.
        left_out: techniques that do not apply, and the reason.
    """

    run: Path
    cache: Path
    seed: int
    rounds: int
    margin: float
    alpha: float
    data: RealData
    evidence: Evidence
    generator: Callable[..., Generator]
    warm_up_key: str
    loss: GanLoss
    augmentation: Augmentation
    access: Access
    objective: Objective | Kernel
    weighting: Weighting
    pool: Pool | Live
    members: dict[str, Callable[..., Detector]]
    stack: Callable[..., Stack] | None
    bag: Bag | None
    battery: BatteryConfig
    schedule: ScheduleConfig
    bank: BankConfig
    judge: JudgeConfig
    probes: ProbesConfig
    selection: SelectionConfig
    resampling: ResamplingConfig
    features: FeatureSpace
    machine: Machine
    tracker: Tracker
    branch: Branch | None = None
    attacked_before: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def layout(self) -> RunLayout:
        """Paths of the run."""
        return RunLayout(self.run)

    def seed_of(self, purpose: str, round_index: int = 0, player: str = "") -> int:
        """Return the seed of one stream of this race."""
        return derive_seed(self.seed, purpose, round_index, player)

    # --- data ------------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> ImageShape:
        """Resolution, channels and levels of the data, for which generators are built."""
        return {"resolution": self.data.resolution, "channels": self.data.channels, "levels": self.data.levels}

    @property
    def seen_shape(self) -> ImageShape:
        """The shape that detectors, and a GAN's own discriminator, see."""
        return {**self.shape, "resolution": self.evidence.resolution(self.data.resolution)}

    @cached_property
    def generator_reals(self) -> Reals:
        """Reals that train the generator."""
        return self.data.part("generator")

    @cached_property
    def judge_reals(self) -> Reals:
        """Reals of every test. They train nothing that reaches the generator."""
        reals = self.data.part("locked" if self.judge.locked else "judge")
        if self.judge.reals is None or self.judge.reals >= len(reals):
            return reals
        rng = np.random.default_rng(derive_seed(self.data.seed, "judge-reals"))
        return reals[np.sort(rng.permutation(len(reals))[: self.judge.reals])]

    # --- players ---------------------------------------------------------------------------------------------------

    def new_generator(self) -> Generator:
        """Return the generator of the config, initialised from the warm-up's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed_of("initialise", player="generator"))
            return self.generator(**self.shape)

    def new_discriminator(self, generator: TrainableGenerator) -> nn.Module:
        """Return the generator's own discriminator, initialised from the warm-up's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed_of("initialise", player="discriminator"))
            return generator.discriminator(self.seen_shape["resolution"])

    def new_detector(self, technique: str, seed: int, round_index: int | None = None) -> Detector:
        """Return a detector whose initial weights depend on ``seed`` alone.

        Args:
            technique: a member.
            seed: of its weights.
            round_index: in which it learns. A GAN-aware detector is attached to the GAN of the round before. None for a
                detector that is only described, or whose tensors are loaded.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            with error_context(f"battery.members.{technique}"):
                detector = self.members[technique](**self.seen_shape)
        if isinstance(detector, GanAwareDetector):
            detector.attach_gan(*self.gan_before(round_index))
        return detector

    def gan_before(self, round_index: int | None) -> tuple[TrainableGenerator, nn.Module]:
        """Return averaged generator and discriminator of the round before. Round 0 has those of the warm-up.

        Args:
            round_index: None for untrained ones.

        Raises:
            DoesNotApply: if the race trains no generator.
        """
        generator = self.new_generator()
        requires(isinstance(generator, TrainableGenerator), "a generator that this race trains")
        assert isinstance(generator, TrainableGenerator)
        discriminator = self.new_discriminator(generator)
        if round_index is not None:
            before = max(round_index - 1, 0)
            load_module(generator, self.layout.generator(before))
            load_part(discriminator, self.layout.gan(before), "discriminator")
        return generator, discriminator

    @cached_property
    def examples_of(self) -> dict[str, Detector]:
        """One untrained detector of each technique, from which its properties are read."""
        return {technique: self.new_detector(technique, 0) for technique in self.members}

    @cached_property
    def techniques(self) -> list[str]:
        """Names of all techniques: the members, then stack and bag."""
        return [*self.members, *([STACK] if self.stack else []), *([BAG] if self.bag else [])]

    @cached_property
    def attacked(self) -> list[str]:
        """Techniques, or their counterparts in a control, with a part in the generator's loss. The bag is never one."""
        return [technique for technique in self.techniques if self._granted(technique) != "none"]

    def access_to(self, technique: str) -> AccessLevel:
        """Return the generator's access to a technique. Of a fitted one, new heads know the features alone."""
        return self.attack_on(technique) if self.access.knows else "none"

    def attack_on(self, technique: str) -> AccessLevel:
        """Return the level at which a technique, or its counterpart in a control that knows none, is attacked."""
        level = self._granted(technique)
        fitted = isinstance(self.examples_of.get(technique), FittedDetector)
        by_features = isinstance(self.pool, Live) or self.logits is None
        return "features" if level == "gradients" and fitted and by_features else level

    @cached_property
    def probing(self) -> "Race":
        """The same race with those detectors that the generator can train by itself, in place of the battery.

        They are of the techniques whose features or gradients it knows. Under ``access=random``, random critics take
        the place of these. Any other attacker without knowledge has none.
        """
        critics = self.access.critics == "random"
        members = {
            name: RandomCritic if critics else member
            for name, member in self.members.items()
            if (critics or self.access.knows) and self.attack_on(name) in ("features", "gradients")
        }
        return replace(self, members=members, bag=None)

    def resamples(self, round_index: int) -> bool:
        """Return whether the banks of a round are drawn from more candidates.

        Resampling is a part of the response, so those of round 0 are not, nor those that a branch begins with. An
        attacker that can train no detector by itself has nothing to resample by. A generator of finite images has no
        more candidates.
        """
        return round_index > 0 and self._resamples

    @cached_property
    def _resamples(self) -> bool:
        return self.resampling.factor > 1 and bool(self.probing.members) and not self.finite

    @cached_property
    def matched(self) -> list[str]:
        """Members whose features can be matched: published ones, or those of a network whose gradients are known.

        Random critics match as many random features.
        """
        if not self.access.knows and self.access.critics != "random":
            return []
        levels = {name: self.attack_on(name) for name in self.members}
        return [
            name
            for name, level in levels.items()
            if level == "gradients" or (level == "features" and isinstance(self.examples_of[name], FittedDetector))
        ]

    def _granted(self, technique: str) -> AccessLevel:
        return self.access.level(technique, self.admitted(technique))

    def admitted(self, technique: str) -> list[AccessLevel]:
        """Return the levels of access that a technique admits to the opponents of this race.

        The stack admits none where a member is held out, since its answers would tell of that member.
        """
        if technique == BAG or (technique == STACK and self.access.held_out):
            return []
        detector = self.examples_of.get(technique)
        live, kernel = isinstance(self.pool, Live) and self.logits is not None, isinstance(self.objective, Kernel)
        levels: list[AccessLevel] = ["labels", "scores"] if live else []
        fitted = isinstance(detector, FittedDetector) and (detector.differentiable or detector.soft)
        if (fitted and (live or kernel)) or (live and isinstance(detector, LearnedDetector)):
            levels.append("features")
        if detector is not None and detector.differentiable:
            levels.append("gradients")
        return levels

    @property
    def logits(self) -> Objective | None:
        """Objective of the logits of detectors. None where features alone pull."""
        return self.objective.beside if isinstance(self.objective, Kernel) else self.objective

    @cached_property
    def purpose(self) -> Purpose:
        """Origin of the fakes: a generator that trains, a control, or images from outside."""
        return self.new_generator().purpose

    @cached_property
    def finite(self) -> bool:
        """Whether the fakes are dealt from so many images (``Generator.finite``)."""
        return self.new_generator().finite

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the files that the generator was made from; empty if there are none."""
        return self.new_generator().fingerprint()


class PhaseOutput(NamedTuple):
    """Records of a phase, the number of images that it trained on or scored, and what else training cost.

    ``files`` are those that it wrote below the run directory, besides scores, of which each record has a hash.
    """

    records: list[Record]
    images: int
    spent: Spent = Spent()
    files: Sequence[Path] = ()
