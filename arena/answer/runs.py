"""Finished runs: their declaration, their records at the last round, and the conditions that they form."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from arena.config.saved import canonical, members, read_config, section
from arena.config.schema import BAG, STACK, AnswerConfig
from arena.core.errors import ArenaError
from arena.metrics.auc import Influence, influence
from arena.metrics.interval import Interval
from arena.records.schema import (
    ControlRecord,
    FitnessRecord,
    QualityRecord,
    Record,
    Regime,
    ResamplingRecord,
    ScoreFile,
    ScoreRecord,
    TrainingRecord,
)
from arena.records.store import read_records, read_scores

Kind = TypeVar("Kind", bound=Record)
JUDGED: tuple[Regime, ...] = ("fresh", "transferred")
"""Regimes of judges, which the declared reals test."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """The terms of the test, fixed before the race.

    Args:
        settings: SHA-256 of every other setting of the race, from ``hash_of_settings``.
        seed: of the race.
        answer: margin, alpha and the limits of the guards.
        last_round: round at which the verdict is read.
        techniques: every technique that must be passed, sorted: those of the battery that apply to the images, and
            stack and bag where the battery has them.
        judge_seeds: fresh judges of each technique.
        judge_folds: cross-fitting folds.
        judge_images: budget of a judge in every round.
        judge_multiples: multiples of that budget that the last round may try.
        judge_more_seeds: judges of each technique that the last round may add.
        data_seed: seed of the split.
        judge_reals: SHA-256 of the reals of the test, from ``hash_of_reals``.
    """

    settings: str
    seed: int
    answer: AnswerConfig
    last_round: int
    techniques: tuple[str, ...]
    judge_seeds: int
    judge_folds: int
    judge_images: int
    judge_multiples: tuple[int, ...]
    judge_more_seeds: int
    data_seed: int
    judge_reals: str


def hash_of_reals(ids: NDArray[np.int64]) -> str:
    """Return the SHA-256 (hex) of a set of reals, given by their indices in the data set in any order."""
    return hashlib.sha256(np.sort(ids).astype("<i8").tobytes()).hexdigest()


def hash_of_settings(config: Mapping[str, object]) -> str:
    """Return the SHA-256 (hex) of a resolved config without seeds, places, logger and machine."""
    return hashlib.sha256(canonical(config).encode()).hexdigest()


def declared(config: Mapping[str, object]) -> Declared:
    """Return the declaration within a resolved config, given as plain containers.

    Raises:
        ArenaError: naming the key that is missing or no mapping.
    """

    def number(group: Mapping[str, object], key: str) -> float:
        value = group.get(key)
        if not isinstance(value, int | float):
            raise ArenaError(f"{key}={value}: expected a number in the config of the run")
        return value

    battery, judge, answer = (section(config, key) for key in ("battery", "judge", "answer"))
    match judge.get("multiples"):
        case [*given] if all(isinstance(value, int) for value in given):
            multiples = tuple(given)
        case given:
            raise ArenaError(f"multiples={given}: expected a list of whole numbers in the config of the run")
    techniques = [*members(config), *(name for name in (STACK, BAG) if battery.get(name) is not None)]
    return Declared(
        settings=hash_of_settings(config),
        seed=int(number(config, "seed")),
        answer=AnswerConfig(
            **{term.name: float(number(answer, term.name)) for term in dataclasses.fields(AnswerConfig)}
        ),
        last_round=int(number(section(config, "race"), "rounds")),
        techniques=tuple(sorted(techniques)),
        judge_seeds=int(number(judge, "seeds")),
        judge_folds=int(number(judge, "folds")),
        judge_images=int(number(judge, "images")),
        judge_multiples=multiples,
        judge_more_seeds=int(number(judge, "more_seeds")),
        data_seed=int(number(section(config, "data"), "seed")),
        judge_reals=str(config.get("judge_reals")),
    )


def declared_hash(declaration: Declared) -> str:
    """Return the SHA-256 (hex) of the declaration's canonical JSON, the key ``declared`` of ``config.yaml``."""
    return hashlib.sha256(declared_json(declaration).encode()).hexdigest()


def declared_json(declaration: Declared) -> str:
    """Return the declaration as canonical JSON, the text that is hashed."""
    return json.dumps(dataclasses.asdict(declaration), sort_keys=True)


def read_influence(run: Path, file: ScoreFile, bank: int = 0, reals: str | None = None) -> Influence:
    """Return the influences behind a file of scores.

    Args:
        run: the run directory.
        file: the file and its SHA-256.
        bank: number of the bank of fakes.
        reals: SHA-256 that the reals must have. None for any reals.

    Raises:
        ArenaError: if the file is missing, altered, cannot be scored, or is of other reals.
    """
    scores = read_scores(run, file)
    if reals is not None and hash_of_reals(scores.image[scores.label == 0]) != reals:
        raise ArenaError(f"{run / file.file}: not tested on the reals declared beforehand")
    try:
        return influence(scores, bank)
    except ValueError as error:
        raise ArenaError(f"{run / file.file}: {error}") from error


def by_budget(tests: Iterable[ScoreRecord]) -> dict[int, list[ScoreRecord]]:
    """Return budget -> tests in their order, the smallest budget first. Detectors that are no judges have budget 0."""
    budgets: dict[int, list[ScoreRecord]] = {}
    for test in tests:
        budgets.setdefault(test.judge_images or 0, []).append(test)
    return dict(sorted(budgets.items()))


@dataclass(frozen=True)
class FinishedRun:
    """A run that was measured at its last round, with its resolved config and all records.

    ``access`` names the generator's access to the detectors, such as ``white_box`` or a control's ``none``. ``quality``
    is the record of the last round's fakes.
    """

    path: Path
    config: Mapping[str, object]
    declared: Declared
    access: str
    seed: int
    quality: QualityRecord
    records: tuple[Record, ...]
    _influences: dict[str, Influence] = field(default_factory=dict, repr=False, compare=False)

    def of_kind(self, kind: type[Kind]) -> list[Kind]:
        """Return the records of one kind."""
        return [record for record in self.records if isinstance(record, kind)]

    @cached_property
    def resampled(self) -> frozenset[int]:
        """Rounds whose fakes were drawn from more candidates."""
        return frozenset(record.round for record in self.of_kind(ResamplingRecord))

    @property
    def faults(self) -> tuple[str, ...]:
        """Faults that rolled the generator back while it was trained. Each cost a part of its budget."""
        trained = [record for record in self.of_kind(TrainingRecord) if record.fault]
        return tuple(f"round {record.round}, {record.purpose}: {record.fault}" for record in trained)

    @property
    def origin_seed(self) -> object:
        """Seed of the run that it branched from (``race.from``). None where it began with a new generator."""
        return self.config.get("start_seed")

    def has_attacked(self, technique: str) -> bool:
        """Return whether a response of this run, or of one that it branched from, had access to the technique."""
        responded = self.declared.last_round > 0
        known = any(record.access != "none" for record in self.fresh(technique).values())
        earlier = self.config.get("start_attacked")
        return (responded and known) or (isinstance(earlier, list) and technique in earlier)

    @cached_property
    def judges(self) -> dict[tuple[str, int], dict[int, ScoreRecord]]:
        """(technique, round) -> judge seed -> test of that round's fakes by the fresh judge of the largest budget."""
        return {key: judges[max(judges)] for key, judges in self._judges.items()}

    @cached_property
    def equal_judges(self) -> dict[tuple[str, int], dict[int, ScoreRecord]]:
        """The same for the budget and the seeds that every round has, so that rounds compare."""
        declared = range(self.declared.judge_seeds)
        return {
            key: {seed: record for seed, record in judges[min(judges)].items() if seed in declared}
            for key, judges in self._judges.items()
        }

    @cached_property
    def _judges(self) -> dict[tuple[str, int], dict[int, dict[int, ScoreRecord]]]:
        """(technique, round) -> budget, the smallest first -> judge seed -> test by that fresh judge."""
        tests: dict[tuple[str, int], list[ScoreRecord]] = {}
        for record in self.of_kind(ScoreRecord):
            if record.regime == "fresh" and record.judge_seed is not None:
                tests.setdefault((record.technique, record.generator_round), []).append(record)
        return {
            key: {budget: _by_seed(of_budget) for budget, of_budget in by_budget(listed).items()}
            for key, listed in tests.items()
        }

    def fresh(self, technique: str) -> dict[int, ScoreRecord]:
        """Return judge seed -> test of the last round's fakes by that fresh judge."""
        return self.judges.get((technique, self.declared.last_round), {})

    def fresh_by_budget(self, technique: str) -> dict[int, dict[int, ScoreRecord]]:
        """Return budget in images -> judge seed -> test of the last round's fakes by that fresh judge."""
        return self._judges.get((technique, self.declared.last_round), {})

    def with_equal_judges(self) -> "FinishedRun":
        """Return the run without the fresh judges that not every round has."""
        equal = [record for judges in self.equal_judges.values() for record in judges.values()]
        others = [record for record in self.records if not isinstance(record, ScoreRecord) or record.regime != "fresh"]
        return dataclasses.replace(self, records=(*others, *equal))

    def validation_auc(self, technique: str) -> float | None:
        """Return the mean validation AUC of the technique's fresh judges, or None if one of them has none."""
        aucs = [record.validation_auc for record in self.fresh(technique).values()]
        known = [auc for auc in aucs if auc is not None]
        return float(np.mean(known)) if known and len(known) == len(aucs) else None

    def influences(self, records: Sequence[ScoreRecord | FitnessRecord], bank: int = 0) -> list[Influence]:
        """Return the influences behind the scores of some records. ``bank`` numbers the fakes of this run.

        The reals that test a fresh judge must be those declared.
        """
        return [self._influence(record).of_bank(bank) for record in records]

    def _influence(self, record: ScoreRecord | FitnessRecord) -> Influence:
        file = record.scores
        if file.file not in self._influences:
            judge = isinstance(record, ScoreRecord) and record.regime in JUDGED and record.technique != BAG
            reals = self.declared.judge_reals if judge else None
            self._influences[file.file] = read_influence(self.path, file, reals=reals)
        return self._influences[file.file]


def _by_seed(tests: Iterable[ScoreRecord]) -> dict[int, ScoreRecord]:
    return {test.judge_seed: test for test in tests if test.judge_seed is not None}


def read_run(path: Path) -> FinishedRun:
    """Read a run, and check that it is finished and that its declaration is the one hashed before it began.

    Raises:
        ArenaError: one line, if it is no run, was altered, or is not finished.
    """
    config, file = read_config(path), path / "config.yaml"
    if "judge_reals" not in config:
        raise ArenaError(f"{file}: judge_reals is missing, as in runs of earlier versions: race again")
    declaration = declared(config)
    if config.get("declared") != declared_hash(declaration):
        raise ArenaError(f"{file}: its declaration is not the one that was hashed before the race (key declared)")
    records = read_records(path)
    measured = [
        record for record in records if isinstance(record, QualityRecord) and record.round == declaration.last_round
    ]
    if not measured:
        reached = max((record.round for record in records), default=0)
        raise ArenaError(
            f"{path}: not finished (round {reached} of {declaration.last_round}). Rerun the same command to continue"
        )
    access, seed = section(config, "access").get("name"), config.get("seed")
    if not isinstance(access, str) or not isinstance(seed, int):
        raise ArenaError(f"{file}: expected access.name and seed of the run")
    return FinishedRun(path, config, declaration, access, seed, measured[-1], tuple(records))


def find_runs(places: Sequence[Path]) -> tuple[list[FinishedRun], list[str]]:
    """Read the finished runs among run directories and folders that hold run directories at any depth.

    Returns:
        The runs, and a line for each run of a folder that cannot be read, such as one that is not finished.

    Raises:
        ArenaError: if a place is no folder, a run that was named cannot be read, or no finished run is found.
    """
    runs: dict[Path, FinishedRun] = {}
    passed_over = []
    for place in places:
        if not place.is_dir():
            raise ArenaError(f"{place}: expected the directory of a run, or a folder of such directories")
        if (place / "config.yaml").is_file():
            runs[place.resolve()] = read_run(place)
            continue
        for path in sorted(file.parent for file in place.rglob("records.jsonl")):
            try:
                runs[path.resolve()] = read_run(path)
            except ArenaError as error:
                passed_over.append(str(error))
    if not runs:
        detail = f" ({passed_over[0]})" if passed_over else ""
        raise ArenaError(f"{', '.join(map(str, places))}: no finished run found{detail}")
    return list(runs.values()), passed_over


def oracle_auc(runs: Sequence[FinishedRun], technique: str) -> Interval | None:
    """Return the AUC of reals against held-out reals, averaged over runs: that of a perfect generator.

    None where the technique was not tested so.
    """
    return _control_auc(runs, "oracle", technique)


def floor_auc(runs: Sequence[FinishedRun], technique: str) -> Interval | None:
    """Return the AUC of resampled reals of generator-train, averaged over runs. None where not tested so."""
    return _control_auc(runs, "floor", technique)


def equal_n_auc(runs: Sequence[FinishedRun], technique: str) -> Interval | None:
    """Return the AUC of the race's own fakes, as few as the oracle's, averaged over runs. None where not tested so."""
    return _control_auc(runs, "equal_n", technique)


def _control_auc(runs: Sequence[FinishedRun], control: str, technique: str) -> Interval | None:
    controls = [record for run in runs for record in run.of_kind(ControlRecord)]
    tests = [record for record in controls if (record.control, record.technique) == (control, technique)]
    ends = [(test.found, test.low, test.high) for test in tests]
    return Interval(*np.mean(ends, axis=0).tolist()) if tests else None
