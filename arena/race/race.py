"""The arena: all that a race is made of, built once by ``arena.race.build`` from the configuration, typed from here on."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from arena.config.schema import BAG, STACK, VALIDATION_SHARE, BankConfig, BatteryConfig, JudgeConfig, ScheduleConfig
from arena.core.errors import ArenaError, DoesNotApply, error_context, require, requires
from arena.core.seeding import derive_seed
from arena.data.reals import RealData, Reals
from arena.detectors.base import Detector, GanAwareDetector
from arena.detectors.stack import Bag, Stack
from arena.generators.base import Generator, TrainableGenerator
from arena.generators.style import StyleGenerator
from arena.imaging.evidence import Evidence
from arena.imaging.images import ImageShape
from arena.metrics.features.space import FeatureSpace
from arena.metrics.quality import QualityMeter
from arena.race.branch import Branch
from arena.race.layout import Bank
from arena.records.schema import AccessLevel
from arena.tracking.tracker import Tracker
from arena.training.ada import Augmentation
from arena.training.attack import Access, Objective, Pool
from arena.training.gan import saved_part
from arena.training.losses import GanLoss, check_paths
from arena.training.machine import Machine

T_co = TypeVar("T_co", covariant=True)


class Factory(Protocol[T_co]):
    """A part of which only the shape of the images is still open: what Hydra's ``_partial_`` leaves."""

    def __call__(self, *, resolution: int, channels: int, levels: int) -> T_co:
        """Build the part for images of that shape."""
        ...


class StackFactory(Protocol):
    """The stack, of which only the number of members is still open."""

    def __call__(self, *, members: int) -> Stack:
        """Build the stack."""
        ...


@dataclass(frozen=True, eq=False)
class Race:
    """The players, the data, the rules and the budgets of one race, and where it is written down.

    ``members`` are the techniques that apply here; ``left_out`` says of each other one of the battery why not.
    """

    run: Path
    cache: Path
    seed: int
    rounds: int
    margin: float
    data: RealData
    evidence: Evidence
    generator: Factory[Generator]
    generator_key: str
    """What determines the warm-up, in words: the cache is keyed by it."""
    loss: GanLoss
    augmentation: Augmentation
    access: Access
    objective: Objective
    pool: Pool
    members: dict[str, Factory[Detector]]
    stack: StackFactory | None
    bag: Bag | None
    battery: BatteryConfig
    schedule: ScheduleConfig
    bank: BankConfig
    judge: JudgeConfig
    features: FeatureSpace
    machine: Machine
    tracker: Tracker
    start: Branch | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    def seed_of(self, purpose: str, round_index: int = 0, player: str = "") -> int:
        """The seed of a stream of this race."""
        return derive_seed(self.seed, purpose, round_index, player)

    @property
    def shape(self) -> ImageShape:
        """Resolution, channels and levels of the data: what generators are built for."""
        return {"resolution": self.data.resolution, "channels": self.data.channels, "levels": self.data.levels}

    @property
    def seen_shape(self) -> ImageShape:
        """The same of what detectors, and a GAN's own discriminator, see."""
        return {**self.shape, "resolution": self.evidence.resolution(self.data.resolution)}

    # --- players ---------------------------------------------------------------------------------------------------

    def new_generator(self) -> Generator:
        """The generator as its config describes it, initialised from the warm-up's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed_of("initialise", player="generator"))
            return self.generator(**self.shape)

    def new_discriminator(self, generator: TrainableGenerator) -> nn.Module:
        """The generator's own discriminator, initialised from the warm-up's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed_of("initialise", player="discriminator"))
            return generator.discriminator(self.seen_shape["resolution"])

    def new_detector(self, technique: str, seed: int, round_index: int | None = None) -> Detector:
        """A detector of that technique whose initial weights depend on ``seed`` and on nothing that ran before.

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
        """Generator (its average) and discriminator as the round before left them; at round 0 as the warm-up did.

        Args:
            round_index: None for new ones, untrained.

        Raises:
            DoesNotApply: where the race trains no generator.
        """
        generator = self.new_generator()
        requires(isinstance(generator, TrainableGenerator), "a generator that this race trains")
        assert isinstance(generator, TrainableGenerator)
        discriminator = self.new_discriminator(generator)
        if round_index is not None:
            folder = self.folder(max(round_index - 1, 0)) / "gan"
            generator.load_state_dict(load_file(folder / "generator.safetensors"))
            discriminator.load_state_dict(saved_part(folder, "discriminator"))
        return generator, discriminator

    def enlisted(self) -> "Race":
        """The same with those techniques alone that apply to its images and its generator.

        Raises:
            ArenaError: where none does.
        """
        left_out: dict[str, str] = {}
        for technique in self.members:
            try:
                self.new_detector(technique, 0)
            except DoesNotApply as reason:
                left_out[technique] = str(reason)
        members = {name: factory for name, factory in self.members.items() if name not in left_out}
        if not members:
            reasons = "; ".join(f"{name} {reason}" for name, reason in left_out.items())
            raise ArenaError(f"battery.members: expected a technique that applies here ({reasons})")
        return replace(self, members=members, left_out=left_out)

    @cached_property
    def examples_of(self) -> dict[str, Detector]:
        """One untrained detector of each technique, to ask what it is."""
        return {technique: self.new_detector(technique, 0) for technique in self.members}

    @cached_property
    def techniques(self) -> list[str]:
        """Every technique of the battery, those over others last."""
        return [*self.members, *([STACK] if self.stack else []), *([BAG] if self.bag else [])]

    def access_level(self, technique: str) -> AccessLevel:
        """Return what the generator knows of a technique. It knows nothing of the stack and the bag."""
        if technique in self.members and self.access.attacks(technique, self.examples_of[technique].differentiable):
            return "gradients"
        return "none"

    @cached_property
    def outside(self) -> bool:
        """Whether the images examined were made outside: then no real need be kept from the judges for a generator."""
        return self.new_generator().outside

    @cached_property
    def fingerprint(self) -> str:
        """Of the files the generator was made from, "" for none."""
        return self.new_generator().fingerprint()

    # --- reals -----------------------------------------------------------------------------------------------------

    @cached_property
    def generator_reals(self) -> Reals:
        """Generator-train."""
        return self.data.part("generator")

    @cached_property
    def judge_reals(self) -> Reals:
        """The judge reals: nothing the generator learns from has touched them; every test is on these."""
        reals = self.data.part("judge")
        if self.judge.reals is None or self.judge.reals >= len(reals):
            return reals
        rng = np.random.default_rng(derive_seed(self.data.seed, "judge-reals"))
        return reals[np.sort(rng.permutation(len(reals))[: self.judge.reals])]

    @cached_property
    def held_out_reals(self) -> Reals:
        """Judge reals that are no reference: they stand in for a perfect generator beside the fakes."""
        reals = self.judge_reals
        return reals[np.flatnonzero(~np.isin(reals.ids, self.data.part("reference").ids))]

    @cached_property
    def quality_meter(self) -> QualityMeter:
        """What measures fakes beside reference reals, at as many images as there are reals to set beside them."""
        reference, reals = self.data.part("reference"), self.held_out_reals
        train = self.new_generator().training_set(self.generator_reals)
        n = min(len(reference), len(reals))
        return QualityMeter(
            self.features, reference.images, train.images, n, self.seed_of("memorisation"), self.machine.device
        )

    # --- files -----------------------------------------------------------------------------------------------------

    def folder(self, round_index: int) -> Path:
        """Where the checkpoints of a round lie."""
        return self.run / "checkpoints" / f"round_{round_index:02d}"

    def bank_path(self, round_index: int) -> Path:
        """The bank of a round's fakes."""
        return self.run / "banks" / f"round_{round_index:02d}.npz"

    def forged(self, round_index: int) -> Bank:
        """The bank of G_round, which ``forge`` has made."""
        return Bank.load(self.bank_path(round_index))

    def check(self) -> None:
        """Refuse what cannot work, before anything is trained.

        Raises:
            ArenaError: naming the key and what was expected.
        """
        for technique in self.access.held_out:
            if technique not in self.members:
                known = ", ".join(self.members)
                raise ArenaError(f"access.held_out={technique}: expected techniques of the battery ({known})")
        self.features.check()
        _ = self.examples_of  # every constructor refuses what it cannot make
        generator = self.new_generator()
        if isinstance(generator, TrainableGenerator):
            self._check_discriminator(generator)
            check_paths(self.loss.path_length, generator)
            if isinstance(generator, StyleGenerator) and generator.minibatch_group:
                group, batch = generator.minibatch_group, self.schedule.batch
                require(batch % group == 0, "generator.minibatch_group", group, f"a divisor of schedule.batch={batch}")
        if self.rounds and not isinstance(generator, TrainableGenerator):
            name = type(generator).__name__.lower()
            raise ArenaError(f"race.rounds={self.rounds}: expected 0, since generator={name} does not train")
        generator.check(self.bank.counts)
        if self.bag is not None:
            tested = min(len(self.judge_reals), self.bank.test) // self.judge.folds
            stopped_on = int((len(self.judge_reals) - len(self.judge_reals) // self.judge.folds) * VALIDATION_SHARE)
            fewest = min(tested, self.bank.cell, stopped_on, self.bank.validation)
            expected = f"at most half of the images of a fold, its validation or a cell, {fewest // 2}"
            require(2 * self.bag.n <= fewest, "battery.bag.n", self.bag.n, expected)
        if self.rounds and self.access.gradients and all(self.access_level(name) == "none" for name in self.members):
            raise ArenaError(
                f"access={self.access.name}: expected a differentiable technique that is not held out "
                "(without one, use access=none)"
            )

    def _check_discriminator(self, generator: TrainableGenerator) -> None:
        """The discriminator sees what detectors see, and must be made for its size."""
        side = self.data.resolution
        try:
            self.new_discriminator(generator)(self.evidence(torch.zeros(2, self.data.channels, side, side)))
        except (ArenaError, RuntimeError) as error:
            resize = self.evidence.resize
            raise ArenaError(
                f"evidence.resize={resize}: expected a side that the generator's discriminator takes, such as {side}"
            ) from error
