"""Append records and scores to a run directory, and read them back."""

import hashlib
import os
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

from arena.core.errors import ArenaError
from arena.core.files import write_atomically
from arena.records.schema import (
    PhaseRecord,
    Record,
    ScoreFile,
    Scores,
    from_json,
    to_json,
)


def read_records(run: Path) -> list[Record]:
    """Every record of a run whose phase was finished, in the order written.

    Raises:
        ArenaError: if the run has no records, or a line that is no record.
    """
    path = run / "records.jsonl"
    if not path.is_file():
        raise ArenaError(f"{run}: expected the directory of a run, with a records.jsonl in it")
    return [from_line(path, number, line) for number, line in enumerate(finished_lines(path), 1)]


def from_line(path: Path, number: int, line: str) -> Record:
    """``from_json`` for a user's file: what is wrong is said with file and line."""
    try:
        return from_json(line)
    except ValueError as error:
        raise ArenaError(f"{path}, line {number}: {error}") from error


def finished_lines(path: Path) -> list[str]:
    """The lines of ``records.jsonl`` up to the last one that closes a phase; a torn last line is not among them."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    closing = [number for number, line in enumerate(lines, 1) if line.endswith("\n") and '"kind": "phase"' in line]
    return lines[: closing[-1]] if closing else []


class RecordBook:
    """The records of a race under way: what is there, less an unfinished phase's lines; appended to phase by phase."""

    def __init__(self, run: Path) -> None:
        self.path = run / "records.jsonl"
        finished = finished_lines(self.path)
        if self.path.is_file() and self.path.read_text(encoding="utf-8") != "".join(finished):
            write_atomically(self.path, "".join(finished).encode())
        self.records: list[Record] = [from_line(self.path, n, line) for n, line in enumerate(finished, 1)]

    def done(self, phase: str, round_index: int, player: str) -> bool:
        """Whether that phase has closed its records."""
        return self.closed(phase, round_index, player) is not None

    def closed(self, phase: str, round_index: int, player: str) -> PhaseRecord | None:
        """The record with which that phase closed; None where it has not."""
        for record in self.records:
            is_phase = isinstance(record, PhaseRecord)
            if is_phase and (record.phase, record.round, record.player) == (phase, round_index, player):
                return record
        return None

    def append(self, records: list[Record]) -> None:
        """Append what a phase found, its ``PhaseRecord`` last, in one write that reaches the disk before it returns."""
        if not (records and isinstance(records[-1], PhaseRecord)):
            raise ValueError("the records of a phase end with its PhaseRecord")
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(to_json(record) + "\n" for record in records))
            file.flush()
            os.fsync(file.fileno())
        self.records.extend(records)


def write_scores(run: Path, name: str, scores: Scores) -> ScoreFile:
    """Write ``scores/<name>.npz`` under the run, byte for byte the same for the same scores, and say its hash."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for field, values in scores._asdict().items():
            array = BytesIO()
            np.lib.format.write_array(array, np.ascontiguousarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{field}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED)
    path = _score_path(run, name)
    write_atomically(path, buffer.getvalue())
    return ScoreFile(path.relative_to(run).as_posix(), hashlib.sha256(buffer.getvalue()).hexdigest())


def read_scores(run: Path, scores: ScoreFile) -> Scores:
    """The scores of a record.

    Raises:
        ArenaError: if the file is missing, or is not the one the record speaks of.
    """
    path = run / scores.file
    if not path.is_file():
        raise ArenaError(f"{path}: the scores of a record are missing")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != scores.sha256:
        raise ArenaError(f"{path}: not the scores its record was made from (SHA-256 differs)")
    return _scores_in(content)


def scores_at(run: Path, name: str) -> Scores:
    """The scores written under that name, which no record speaks of yet."""
    return _scores_in(_score_path(run, name).read_bytes())


def _score_path(run: Path, name: str) -> Path:
    return run / "scores" / f"{name}.npz"


def _scores_in(content: bytes) -> Scores:
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        found = {field: arrays[field] for field in Scores._fields if field in arrays}
    # Scores of before sources were kept: every image was its own.
    return Scores(**{"source": found["image"]} | found)
