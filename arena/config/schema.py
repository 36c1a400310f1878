"""The typed schema of a run. Hydra composes it, ``arena.race.build`` builds the parts, and below nobody sees a config.

Groups whose parts are built by ``_target_`` are ``Any`` here: their constructors check them. What the race itself reads
is typed and checked here, so that an impossible value ends before anything is trained. (The dataclasses are not frozen,
since OmegaConf takes frozen for read-only and would refuse every override.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from arena.core.degradations import LADDERS
from arena.core.errors import require
from arena.data.split import FEWEST

STACK, BAG = "stack", "bag"
"""The techniques over all others: their names in every record, and their keys in a battery."""
VALIDATION_SHARE = 0.2
"""Of the reals a judge may learn from, those that stop it."""


@dataclass(frozen=True)
class RaceConfig:
    """``race.rounds`` counts the generator's responses: 0 examines the generator as it is.

    ``race.from`` names another run, from whose last round this one branches. No field of a dataclass can have that
    name, so this group is read by hand.
    """

    rounds: int
    start: str | None

    @classmethod
    def of(cls, group: Mapping[str, object]) -> Self:
        """From the composed group.

        Raises:
            ArenaError: for an unknown key, or an impossible value.
        """
        for key in group:
            require(key in ("rounds", "from"), f"race.{key}", group[key], "race.rounds or race.from")
        rounds, start = group.get("rounds"), group.get("from")
        possible = isinstance(rounds, int) and not isinstance(rounds, bool) and rounds >= 0
        require(possible, "race.rounds", rounds, "a whole number, 0 or more")
        require(start is None or isinstance(start, str), "race.from", start, "the directory of a run, or null")
        return cls(cast(int, rounds), cast("str | None", start))


@dataclass
class ScheduleConfig:
    """Budgets of the generator, in real images shown."""

    warm_up_images: int = 20_000
    response_images: int = 35_000
    batch: int = 64
    evaluate_images: int = 10_000
    """The interval after which a GAN in training is looked at, and kept or rolled back; a kill loses no more."""

    def __post_init__(self) -> None:
        require(self.batch >= 2, "schedule.batch", self.batch, "at least 2")
        for key in ("warm_up_images", "response_images", "evaluate_images"):
            images = getattr(self, key)
            require(images >= self.batch, f"schedule.{key}", images, f"at least one batch ({self.batch})")


@dataclass
class BankConfig:
    """Fakes forged each round, by use. ``cell`` of the test bank score the off-diagonal cells of the payoff matrix."""

    train: int = 1024
    validation: int = 256
    test: int = 1024
    cell: int = 256

    def __post_init__(self) -> None:
        for key in ("train", "validation", "test", "cell"):
            require(getattr(self, key) >= 8, f"bank.{key}", getattr(self, key), "at least 8 images")
        require(self.cell <= self.test, "bank.cell", self.cell, f"at most bank.test={self.test}")

    @property
    def counts(self) -> dict[str, int]:
        """Name of the bank -> images, as a generator is asked for them."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass
class BatteryConfig:
    """The techniques in the race by name, each a detector's config, the stack over them, and a bag over the stack.

    ``images`` is the budget of a gradient-trained detector in one round, ``replay`` the share of its fakes drawn from
    earlier rounds.
    """

    members: dict[str, Any] = field(default_factory=dict)
    stack: Any = None
    bag: Any = None
    images: int = 12_000
    batch: int = 128
    learning_rate: float = 5e-3
    patience: int = 10
    replay: float = 0.5

    def __post_init__(self) -> None:
        for name in (STACK, BAG):
            require(name not in self.members, f"battery.members.{name}", "...", f"the {name} under battery.{name}")
        require(self.bag is None or self.stack is not None, "battery.bag", "...", "a stack, whose logits it takes")
        require(self.batch >= 2, "battery.batch", self.batch, "at least 2")
        require(self.images >= self.batch, "battery.images", self.images, f"at least one batch ({self.batch})")
        require(0 <= self.replay < 1, "battery.replay", self.replay, "a share in [0, 1)")
        require(self.learning_rate > 0, "battery.learning_rate", self.learning_rate, "above 0")
        require(self.patience >= 1, "battery.patience", self.patience, "at least 1")


@dataclass
class JudgeConfig:
    """Fresh judges: ``seeds`` of each technique, ``folds`` of the judge reals, ``images`` of training budget each.

    ``reals`` is the most judge reals to use, drawn by the data seed; None: the judge's whole part. ``degradations``
    are applied to reals and fakes alike at the last round, where AUC is pinned at 1, to find what detection withstands.
    """

    seeds: int = 3
    folds: int = 3
    images: int = 12_000
    reals: int | None = None
    degradations: list[str] = field(default_factory=lambda: [*LADDERS])

    def __post_init__(self) -> None:
        known = ", ".join(LADDERS)
        for kind in self.degradations:
            require(kind in LADDERS, "judge.degradations", kind, f"some of {known}, each once")
        once = len(set(self.degradations)) == len(self.degradations)
        require(once, "judge.degradations", self.degradations, f"some of {known}, each once")
        require(self.seeds >= 3, "judge.seeds", self.seeds, "at least 3, or their spread has no meaning")
        require(2 <= self.folds <= 20, "judge.folds", self.folds, "2 to 20")
        enough = self.reals is None or self.reals >= FEWEST["judge"]
        require(enough, "judge.reals", self.reals, f"at least {FEWEST['judge']}, or null for all of the judge's part")


@dataclass
class AnswerConfig:
    """What is declared before the race, and hashed: how its outcome will be read."""

    margin: float = 0.05
    alpha: float = 0.05
    quality_limit: float = 0.1
    """Largest kernel distance, in units of what reals at half their resolution are away from reals."""
    variety_limit: float = 0.5
    """Least recall and coverage, as a share of what reals give each other."""
    memorisation_limit: float = 0.6
    """A share of fakes nearer to the training set clearly above this is memorising; the null is 1/2."""

    def __post_init__(self) -> None:
        require(0 < self.margin < 0.5, "answer.margin", self.margin, "between 0 and 0.5")
        require(0 < self.alpha < 0.5, "answer.alpha", self.alpha, "between 0 and 0.5")
        require(self.quality_limit > 0, "answer.quality_limit", self.quality_limit, "above 0")
        require(0 < self.variety_limit <= 1, "answer.variety_limit", self.variety_limit, "a share in (0, 1]")
        require(0.5 < self.memorisation_limit < 1, "answer.memorisation_limit", self.memorisation_limit, "in (0.5, 1)")


@dataclass
class TrainerConfig:
    """``precision`` auto: bf16 where the processor has matrix units for it, fp32 elsewhere."""

    precision: str = "auto"
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        require(self.precision in ("auto", "bf16", "fp32"), "trainer.precision", self.precision, "auto, bf16 or fp32")
        require(self.accelerator in ("auto", "cpu", "gpu"), "trainer.accelerator", self.accelerator, "auto, cpu or gpu")


@dataclass
class ArenaConfig:
    """The whole run."""

    data: Any = MISSING
    evidence: Any = MISSING
    generator: Any = MISSING
    loss: Any = MISSING
    augmentation: Any = MISSING
    access: Any = MISSING
    objective: Any = MISSING
    pool: Any = MISSING
    features: Any = MISSING
    logger: Any = MISSING
    battery: BatteryConfig = field(default_factory=BatteryConfig)
    race: Any = MISSING
    """A ``RaceConfig``, once composed."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    bank: BankConfig = field(default_factory=BankConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    answer: AnswerConfig = field(default_factory=AnswerConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    seed: int = 0
    run_dir: str = MISSING
    cache_dir: str = MISSING

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", self.seed, "0 or more")
        if isinstance(self.race, Mapping):
            self.race = RaceConfig.of(self.race)
        # The schema is made with every value missing, and says nothing yet.
        require(self.data == MISSING or bool(self.battery.members), "battery.members", "{}", "at least one technique")
        require(
            self.judge.images >= self.battery.images,
            "judge.images",
            self.judge.images,
            f"at least battery.images={self.battery.images}: a weaker judge would let anything pass",
        )


def register() -> None:
    """Put the schema where ``conf/config.yaml`` finds it."""
    ConfigStore.instance().store("schema", node=ArenaConfig)
