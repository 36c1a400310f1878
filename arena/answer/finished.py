"""A finished run as the verdict reads it: what was declared, and the records of the round it was declared for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from arena.answer.declared import Declared, check_declared, hash_of_reals, read_config
from arena.config import BAG
from arena.errors import ArenaError
from arena.metrics.delong import Influence, influence
from arena.records import (
    ControlRecord,
    FitnessRecord,
    ProvenanceRecord,
    QualityRecord,
    Record,
    ScoreRecord,
    TrainingRecord,
    read_records,
    read_scores,
)


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
