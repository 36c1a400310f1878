"""The typed schema of a run: Hydra composes it, ``arena.race.build`` builds its parts.

Groups with a ``_target_`` are ``Any``, since their constructors declare types and bounds. The other groups are
dataclasses, and their defaults stand here alone. The dataclasses are not frozen, because OmegaConf would refuse every
override of a frozen one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING
from pydantic import Field

from arena.config.instantiate import check_value
from arena.core.degradations import LADDERS
from arena.core.errors import require
from arena.data.split import FEWEST

STACK, BAG = "stack", "bag"
"""Techniques over all others: their names in every record, and their keys in a battery."""


class RaceConfig(NamedTuple):
    """``race.rounds`` and ``race.from``.

    Args:
        rounds: responses of the generator. 0 examines the generator as it is.
        start: another run, from whose last round this one branches. Its key ``from`` is no name of a Python field,
            so this group is no part of the schema.
    """

    rounds: int
    start: str | None

    @classmethod
    def of(cls, group: Mapping[str, object]) -> "RaceConfig":
        """Return the composed group.

        Raises:
            ArenaError: for an unknown key, or an impossible value.
        """
        for key, value in group.items():
            require(key in ("rounds", "from"), f"race.{key}", value, "race.rounds or race.from")
        check_value(group.get("rounds"), Annotated[int, Field(ge=0)], "race.rounds")
        check_value(group.get("from"), str | None, "race.from")
        return cls(*map(group.get, ("rounds", "from")))  # type: ignore[arg-type]


def checked(default: Any, hint: Any = None, **bounds: float) -> Any:
    """Return a dataclass field that ``Group`` checks, since OmegaConf knows no ``Annotated``.

    Args:
        default: its value.
        hint: its type; None for the type of the default.
        bounds: of pydantic's ``Field``.
    """
    return field(default=default, metadata={"hint": Annotated[hint or type(default), Field(**bounds)]})  # type: ignore[arg-type]


class Group:
    """Check the bounds that the fields of a dataclass declare. ``KEY`` is the dotted key of the group."""

    KEY: ClassVar[str]

    def __post_init__(self) -> None:
        for entry in fields(self):  # type: ignore[arg-type]
            if "hint" in entry.metadata:
                check_value(getattr(self, entry.name), entry.metadata["hint"], f"{self.KEY}.{entry.name}".lstrip("."))


@dataclass
class ScheduleConfig(Group):
    """Budgets of the generator, in real images shown. A generator made from files may go without a warm-up (0)."""

    KEY: ClassVar[str] = "schedule"
    warm_up_images: int = 20_000
    response_images: int = 35_000
    batch: int = checked(64, ge=2)
    evaluate_images: int = 10_000
    """Interval after which a GAN in training is examined, and kept or rolled back. A kill loses no more than this."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("warm_up_images", "response_images", "evaluate_images"):
            images = getattr(self, key)
            least, none = f"at least one batch ({self.batch})", key == "warm_up_images"
            expected = f"{least}, or 0 for none" if none else least
            require(images >= self.batch or (none and images == 0), f"schedule.{key}", images, expected)

    def shown(self, images: int) -> int:
        """Return the real images that training with a budget of ``images`` shows: whole batches of them."""
        return images // self.batch * self.batch


@dataclass
class BankConfig(Group):
    """Fakes forged in each round, by use: for the detectors in the loop, and as many anew for each judge seed.

    All judges share the test bank. ``cell`` of its images score off-diagonal cells of the payoff matrix.
    """

    KEY: ClassVar[str] = "bank"
    train: int = checked(4096, ge=8)
    validation: int = checked(512, ge=8)
    test: int = checked(10_000, ge=8)
    cell: int = checked(256, ge=8)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.cell <= self.test, "bank.cell", self.cell, f"at most bank.test={self.test}")

    @property
    def counts(self) -> dict[str, int]:
        """Name of the bank -> images, as ``Generator.forge`` takes them."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass
class BatteryConfig(Group):
    """Techniques by name, each the config of a detector, with the stack over them and a bag over the stack."""

    KEY: ClassVar[str] = "battery"
    members: dict[str, Any] = field(default_factory=dict)
    stack: Any = None
    bag: Any = None
    images: int = 12_000
    """Most images in one round for a detector trained by gradient."""
    batch: int = checked(128, ge=2)
    learning_rate: float = checked(5e-3, gt=0)
    """Peak of the one-cycle schedule."""
    patience: int = checked(10, ge=1)
    """Validations without gain before training stops, of 20 in a budget."""
    replay: float = checked(0.5, ge=0, lt=1)
    """Share of training fakes from earlier rounds."""
    aligned: list[str] = field(default_factory=list)
    """Members that also learn from re-synthesised reals: an autoencoder's, trained on their own training reals."""
    aligned_share: float = checked(0.5, gt=0, le=1)
    """Share of these members' training fakes that are re-synthesised reals."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (STACK, BAG):
            require(name not in self.members, f"battery.members.{name}", "...", f"the {name} under battery.{name}")
        require(self.bag is None or self.stack is not None, "battery.bag", "...", "a stack, whose logits it takes")
        require(self.images >= self.batch, "battery.images", self.images, f"at least one batch ({self.batch})")


@dataclass
class JudgeConfig(Group):
    """Fresh judges of each technique."""

    KEY: ClassVar[str] = "judge"
    seeds: int = checked(3, ge=3)  # the spread of fewer has no meaning
    folds: int = checked(3, ge=2, le=20)
    """Folds of the judge reals: each real is tested by judges that never saw it."""
    images: int = 12_000
    """Budget of a judge in every round, at least ``battery.images``."""
    multiples: list[int] = field(default_factory=lambda: [4])
    """Multiples of images and training fakes that the last round tries in turn, as long as judges may gain."""
    more_seeds: int = checked(6, ge=0)
    """Judge seeds that the last round adds where they, rather than more images, may show that judges gain nothing."""
    reals: int | None = checked(None, int | None, ge=FEWEST["judge"])
    """Most judge reals to use, drawn by ``data.seed``; None for all of the judge's part."""
    locked: bool = False
    """Whether the locked reals judge, for a last race with settings that no such race has tuned."""
    degradations: list[str] = field(default_factory=lambda: [*LADDERS])
    """Degradations of reals and fakes alike, where AUC is above 0.99 on validation in the last round."""
    hardened: float = checked(0.0, ge=0, le=1)
    """Share of a judge's training fakes that are attacked first, so that it expects attacks. 0 for none."""
    hardened_levels: int = checked(2, ge=1)
    """Largest change of a pixel by this attack, in grey levels of the data."""
    hardened_steps: int = checked(10, ge=1)
    """Steps of this attack, where it is descent on each image."""
    hardened_laundered: float = checked(0.5, ge=0, le=1)
    """Share of the attacked fakes that one network changes instead. It is trained against the same detectors."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = set(self.degradations) <= set(LADDERS) and len(set(self.degradations)) == len(self.degradations)
        require(known, "judge.degradations", self.degradations, f"some of {', '.join(LADDERS)}, each once")
        rising = all(more > less for less, more in pairwise([1, *self.multiples]))
        require(rising, "judge.multiples", self.multiples, "rising whole numbers above 1")


@dataclass
class AnswerConfig(Group):
    """Terms by which the outcome is read, declared and hashed before the race."""

    KEY: ClassVar[str] = "answer"
    margin: float = checked(0.05, gt=0, lt=0.5)
    alpha: float = checked(0.05, gt=0, lt=0.5)
    quality_limit: float = checked(1.0, gt=0)
    """Largest kernel distance to reals, in units of that of reals with noise of one grey level, at least 8 of 255."""
    variety_limit: float = checked(0.5, gt=0, le=1)
    """Least recall and coverage, as a share of what reals give each other."""
    classes_limit: float = checked(0.2, gt=0, lt=1)
    """Largest total variation between the classes of fakes and of reals, where the data names classes."""
    copies_limit: float = checked(0.02, gt=0, lt=1)
    """Share of near copies of training images that counts as memorisation if clearly exceeded. The null is 0.001."""
    memorisation_limit: float = checked(0.6, gt=0.5, lt=1)
    """Share of fakes nearer to the training set that counts as memorisation if clearly exceeded. The null is 1/2."""


@dataclass
class ProbesConfig(Group):
    """Probes: fresh detectors of the techniques that the generator knows. They learn from reals of the loop alone."""

    KEY: ClassVar[str] = "probes"
    images: int = checked(4_000, ge=2)
    """Budget of a probe that learns by gradient, in images."""
    fakes: int = checked(1024, ge=32)
    """Fakes that probes learn from. As many others test them."""

    @property
    def counts(self) -> dict[str, int]:
        """Name of the bank -> fakes of one probe."""
        return {"train": self.fakes, "validation": self.fakes // 4, "test": self.fakes}


@dataclass
class SelectionConfig(Group):
    """Branches of a response, between which probes choose, and snapshots, of which probes choose one to end with."""

    KEY: ClassVar[str] = "selection"
    multipliers: list[float] = field(default_factory=list)
    """Multiple of the opponents' pull in each branch. Empty for no selection."""
    share: float = checked(0.25, gt=0, lt=1)
    """Share of a response's images that is spent until one branch is left."""

    def __post_init__(self) -> None:
        super().__post_init__()
        finite = all(0 <= value < math.inf for value in self.multipliers)
        possible = finite and len({*self.multipliers}) == len(self.multipliers)
        require(possible, "selection.multipliers", self.multipliers, "numbers from 0 up, each once")

    @property
    def attacking(self) -> int:
        """Branches that attack and share the queries, at least 1."""
        return max(sum(multiplier > 0 for multiplier in self.multipliers), 1)


@dataclass
class ResamplingConfig(Group):
    """Fakes of a bank that are drawn from more candidates, by the odds of being real that a scorer gives them."""

    KEY: ClassVar[str] = "resampling"
    factor: int = checked(1, ge=1)
    """Candidates of each fake. 1 for no resampling."""
    shrinks: list[float] = field(default_factory=lambda: [0.0, 0.5, 1.0])
    """Factors of the logit that are tried. Probes choose one after each response."""
    cap: float = checked(10.0, ge=1)
    """Largest weight of a candidate, in units of the mean weight."""

    def __post_init__(self) -> None:
        super().__post_init__()
        possible = self.shrinks and all(0 <= value <= 1 for value in self.shrinks)
        require(bool(possible), "resampling.shrinks", self.shrinks, "one number or more, from 0 to 1")


@dataclass
class TrainerConfig(Group):
    """Precision and device. ``auto`` precision is bf16 where the processor has matrix units for it, fp32 elsewhere."""

    KEY: ClassVar[str] = "trainer"
    precision: str = checked("auto", Literal["auto", "bf16", "fp32"])
    accelerator: str = checked("auto", Literal["auto", "cpu", "gpu"])


@dataclass
class ArenaConfig(Group):
    """The whole run."""

    KEY: ClassVar[str] = ""
    data: Any = MISSING
    evidence: Any = MISSING
    generator: Any = MISSING
    loss: Any = MISSING
    augmentation: Any = MISSING
    access: Any = MISSING
    objective: Any = MISSING
    weighting: Any = MISSING
    pool: Any = MISSING
    features: Any = MISSING
    logger: Any = MISSING
    battery: BatteryConfig = field(default_factory=BatteryConfig)
    race: Any = MISSING
    """A ``RaceConfig``, once composed."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    bank: BankConfig = field(default_factory=BankConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    probes: ProbesConfig = field(default_factory=ProbesConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    resampling: ResamplingConfig = field(default_factory=ResamplingConfig)
    answer: AnswerConfig = field(default_factory=AnswerConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    seed: int = checked(0, ge=0)
    run_dir: str = MISSING
    cache_dir: str = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.race, Mapping):
            self.race = RaceConfig.of(self.race)
        # The schema itself is instantiated once with every value missing.
        require(self.data == MISSING or bool(self.battery.members), "battery.members", "{}", "at least one technique")
        least = f"at least battery.images={self.battery.images}: a weaker judge would let anything pass"
        require(self.judge.images >= self.battery.images, "judge.images", self.judge.images, least)


def register() -> None:
    """Store the schema where ``conf/config.yaml`` finds it."""
    ConfigStore.instance().store("schema", node=ArenaConfig)
