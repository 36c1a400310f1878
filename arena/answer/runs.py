"""Read finished runs, check what they declared, and group them into conditions."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arena.config.saved import _pruned, canonical, flatten, members, read_config, section
from arena.config.schema import BAG, STACK, AnswerConfig
from arena.core.errors import ArenaError
from arena.metrics.auc import Influence, influence
from arena.metrics.interval import Interval
from arena.records.schema import (
    ControlRecord,
    FitnessRecord,
    ProvenanceRecord,
    QualityRecord,
    Record,
    ScoreRecord,
    TrainingRecord,
)
from arena.records.store import read_records, read_scores


@dataclass(frozen=True, kw_only=True)
class Declared:
    """The terms of the test, fixed beforehand.

    Args:
        answer: margin, alpha and the limits of the guards.
        last_round: the round at which the verdict is read.
        techniques: every technique that must be passed, sorted: those of the battery that apply to the images, and
            stack and bag where there are such.
        judge_seeds: fresh judges of each technique.
        judge_folds: cross-fitting folds.
        data_seed: of the split.
        judge_reals: SHA-256 of the reals that test, as ``hash_of_reals`` makes it.
    """

    answer: AnswerConfig
    last_round: int
    techniques: tuple[str, ...]
    judge_seeds: int
    judge_folds: int
    data_seed: int
    judge_reals: str


def hash_of_reals(ids: NDArray[np.int64]) -> str:
    """SHA-256 (hex) of which reals these are: their indices in the data set, in whatever order."""
    return hashlib.sha256(np.sort(ids).astype("<i8").tobytes()).hexdigest()


def declared(config: Mapping[str, object]) -> Declared:
    """The declaration within a resolved config.

    Args:
        config: plain containers, as of ``OmegaConf.to_container(config, resolve=True)``.

    Raises:
        ArenaError: naming the key that is missing or no mapping.
    """
    battery, judge, answer = (section(config, key) for key in ("battery", "judge", "answer"))
    techniques = [*members(config), *(name for name in (STACK, BAG) if battery.get(name) is not None)]
    terms = AnswerConfig(
        **{field.name: float(_number(answer, field.name)) for field in dataclasses.fields(AnswerConfig)}
    )
    return Declared(
        answer=terms,
        last_round=int(_number(section(config, "race"), "rounds")),
        techniques=tuple(sorted(techniques)),
        judge_seeds=int(_number(judge, "seeds")),
        judge_folds=int(_number(judge, "folds")),
        data_seed=int(_number(section(config, "data"), "seed")),
        judge_reals=str(config.get("judge_reals")),
    )


def declared_hash(declaration: Declared) -> str:
    """SHA-256 (hex) of the declaration's canonical JSON; the race writes it as ``declared`` into ``config.yaml``."""
    return hashlib.sha256(json.dumps(dataclasses.asdict(declaration), sort_keys=True).encode()).hexdigest()


def check_declared(config: Mapping[str, object], run: Path) -> Declared:
    """The declaration of a run, which must be the one hashed before it began.

    Raises:
        ArenaError: if the config was altered since, or names no hash.
    """
    if "judge_reals" not in config:
        raise ArenaError(f"{run / 'config.yaml'}: judge_reals is missing, as in runs of earlier versions: race again")
    declaration = declared(config)
    if config.get("declared") != declared_hash(declaration):
        raise ArenaError(
            f"{run / 'config.yaml'}: what it declares is not what was hashed before the race (key declared)"
        )
    return declaration


def _number(config: Mapping[str, object], key: str) -> float:
    value = config.get(key)
    if not isinstance(value, int | float):
        raise ArenaError(f"{key}={value}: expected a number in the config of the run")
    return value


@dataclass(frozen=True)
class FinishedRun:
    """A run that was measured at its last round.

    Args:
        path: its directory.
        config: its resolved config.
        declared: the terms fixed before it began.
        access: what the generator was told: ``white_box``, or a control's ``none`` or ``placebo``.
        seed: of the run.
        quality: of the last round's fakes.
        records: all records.
    """

    path: Path
    config: Mapping[str, object]
    declared: Declared
    access: str
    seed: int
    quality: QualityRecord
    records: tuple[Record, ...]
    _known: dict[str, Influence] = field(default_factory=dict, repr=False, compare=False)

    @property
    def differences(self) -> tuple[str, ...]:
        """What differs between the files of reals and of fakes."""
        return tuple(
            text for record in self.records if isinstance(record, ProvenanceRecord) for text in record.differences
        )

    @property
    def faults(self) -> tuple[str, ...]:
        """What went wrong while the generator was trained and was rolled back: part of its budget was lost."""
        return tuple(
            f"round {record.round}, {record.purpose}: {record.fault}"
            for record in self.records
            if isinstance(record, TrainingRecord) and record.fault
        )

    @property
    def origin_seed(self) -> object:
        """Seed of the run it branched from (``race.from``); None where it began by itself."""
        return self.config.get("start_seed")

    def fresh(self, technique: str) -> dict[int, ScoreRecord]:
        """Judge seed -> its test of the last round's fakes. Frozen and retrained detectors have no part in it."""
        return self._judges.get(technique, {})

    @cached_property
    def _judges(self) -> dict[str, dict[int, ScoreRecord]]:
        """The last round's fresh judges by technique and seed."""
        found: dict[str, dict[int, ScoreRecord]] = {}
        for record in self.records:
            if not isinstance(record, ScoreRecord) or record.judge_seed is None:
                continue
            if (record.regime, record.generator_round) == ("fresh", self.declared.last_round):
                found.setdefault(record.technique, {})[record.judge_seed] = record
        return found

    def planted(self, technique: str) -> list[FitnessRecord]:
        """The technique's judges' tests on their planted artefact."""
        return [record for record in self._fitness(technique) if record.artefact is not None and record.share == 1.0]

    def halved(self, technique: str) -> dict[int, FitnessRecord]:
        """Judge seed -> the last round's test of the same judge with half of its data and images."""
        return {
            record.judge_seed: record
            for record in self._fitness(technique)
            if record.artefact is None and record.round == self.declared.last_round and record.share == 0.5
        }

    def oracle(self, technique: str) -> list[ControlRecord]:
        """The technique's tests of reals against held-out reals."""
        return [
            record
            for record in self.records
            if isinstance(record, ControlRecord) and (record.control, record.technique) == ("oracle", technique)
        ]

    def in_loop(self, technique: str) -> ScoreRecord | None:
        """The test of the technique's detector in the loop, retrained on the last round's fakes."""
        wanted = (technique, "retrained", self.declared.last_round, self.declared.last_round)
        for record in self.records:
            if isinstance(record, ScoreRecord) and wanted == (
                record.technique,
                record.regime,
                record.generator_round,
                record.detector_round,
            ):
                return record
        return None

    def influences(self, records: Sequence[ScoreRecord | FitnessRecord], bank: int = 0) -> list[Influence]:
        """The influences behind the scores of some records; ``bank`` numbers the fakes of this run.

        Raises:
            ArenaError: if a score file is missing, not the one of its record, or cannot be scored, or if a fresh judge
                was tested on other reals than those declared.
        """
        return [self._influence(record).of_bank(bank) for record in records]

    def _influence(self, record: ScoreRecord | FitnessRecord) -> Influence:
        """Read once, however often it is asked for."""
        known = self._known.get(record.scores.file)
        if known is not None:
            return known
        scores = read_scores(self.path, record.scores)
        judges = isinstance(record, ScoreRecord) and record.regime == "fresh" and record.technique != BAG
        if judges and hash_of_reals(scores.image[scores.label == 0]) != self.declared.judge_reals:
            raise ArenaError(f"{self.path / record.scores.file}: not tested on the reals declared beforehand")
        try:
            found = influence(scores)
        except ValueError as error:
            raise ArenaError(f"{self.path / record.scores.file}: {error}") from error
        self._known[record.scores.file] = found
        return found

    def validation_auc(self, technique: str) -> float | None:
        """Mean validation AUC of the technique's judges at the last round; None unless each of them has one."""
        found = [record.validation_auc for record in self.fresh(technique).values()]
        known = [value for value in found if value is not None]
        return float(np.mean(known)) if known and len(known) == len(found) else None

    def _fitness(self, technique: str) -> list[FitnessRecord]:
        return [
            record for record in self.records if isinstance(record, FitnessRecord) and record.technique == technique
        ]


def read_run(path: Path) -> FinishedRun:
    """Read a run and check that it is finished and declared what its config says.

    Raises:
        ArenaError: one line, if it is no run, is altered, or is not finished.
    """
    config = read_config(path)
    declaration = check_declared(config, path)
    records = read_records(path)
    measured = [
        record for record in records if isinstance(record, QualityRecord) and record.round == declaration.last_round
    ]
    if not measured:
        reached = max((record.round for record in records), default=0)
        raise ArenaError(
            f"{path}: not finished (round {reached} of {declaration.last_round}): the same command goes on"
        )
    access, seed = config.get("access"), config.get("seed")
    name = access.get("name") if isinstance(access, Mapping) else None
    if not isinstance(name, str) or not isinstance(seed, int):
        raise ArenaError(f"{path / 'config.yaml'}: expected access.name and seed of the run")
    return FinishedRun(path, config, declaration, name, seed, measured[-1], tuple(records))


def oracle_floor(runs: Sequence[FinishedRun], technique: str) -> Interval | None:
    """AUC of reals against held-out reals, averaged over runs: where a perfect generator would be.

    None where the technique was not tested so.
    """
    tests = [record for run in runs for record in run.oracle(technique)]
    if not tests:
        return None
    return Interval(*np.mean([(test.found, test.low, test.high) for test in tests], axis=0).tolist())


def matched(ours: Sequence[FinishedRun], theirs: Sequence[FinishedRun]) -> list[tuple[int, int]]:
    """Indices of the runs that pair: with equal seeds and start, and no generator that was rolled back."""
    return [
        (i, j)
        for i, run in enumerate(ours)
        for j, other in enumerate(theirs)
        if (run.seed, run.declared.data_seed) == (other.seed, other.declared.data_seed)
        and run.origin_seed == other.origin_seed
        and not (run.faults or other.faults)
    ]


@dataclass(frozen=True)
class Condition:
    """The runs of one condition, in order of their seeds.

    Args:
        name: ``access=...`` and whatever else sets it apart from the conditions beside it.
        access: name of the generator's access to the detectors.
        branch: canonical JSON of the config without seeds and without access: a control shares it.
        runs: its runs, no two with the same seeds.
    """

    name: str
    access: str
    branch: str
    runs: tuple[FinishedRun, ...]

    @property
    def control(self) -> bool:
        """Whether its access is declared as a control."""
        return bool(section(self.runs[0].config, "access").get("control"))

    def controls(self, among: Sequence["Condition"]) -> dict[str, "Condition"]:
        """Return its matched controls by name of their access. Their config differs in the access alone."""
        return {} if self.control else {it.access: it for it in among if it.control and it.branch == self.branch}


def conditions(runs: Iterable[FinishedRun]) -> list[Condition]:
    """Group runs into conditions.

    Raises:
        ArenaError: if two runs have the same config and the same seeds: a run counts once.
    """
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(canonical(run.config), []).append(run)
    settings = {key: dict(flatten(_pruned(group[0].config, drop=()))) for key, group in groups.items()}
    found = []
    for key, group in groups.items():
        members = sorted(group, key=lambda run: (run.seed, run.declared.data_seed))
        for one, after in pairwise(members):
            if (one.seed, one.declared.data_seed) == (after.seed, after.declared.data_seed):
                raise ArenaError(f"{one.path} and {after.path}: equal config, seed and data.seed: name one of them")
        name = ", ".join([f"access={members[0].access}", *_apart(settings[key], list(settings.values()))])
        branch = canonical(group[0].config, drop=("access",))
        found.append(Condition(name, group[0].access, branch, tuple(members)))
    return sorted(found, key=lambda condition: (condition.control, condition.name))


def find_runs(places: Sequence[Path]) -> tuple[list[FinishedRun], list[str]]:
    """The finished runs among some run directories, or in folders that hold run directories at any depth.

    Returns:
        The runs, and a line for each run that a folder holds and that cannot be read (it is not finished, say).

    Raises:
        ArenaError: if a place is no folder, a run named itself cannot be read, or no finished run is found.
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


def _apart(own: Mapping[str, object], among: Sequence[Mapping[str, object]]) -> list[str]:
    """``key=value`` of what differs among conditions; of the access only what differs where its name does not."""
    return [
        f"{key}={value}"
        for key, value in own.items()
        if any(
            other.get(key) != value
            for other in among
            if not key.startswith("access.") or other["access.name"] == own["access.name"]
        )
    ]
