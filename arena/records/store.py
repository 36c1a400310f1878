"""Append records and scores to a run directory, and read them back."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from arena.core.errors import ArenaError
from arena.core.files import write_atomically
from arena.records.schema import PhaseRecord, Record, ScoreFile, Scores

_ADAPTER: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


def read_records(run: Path) -> list[Record]:
    """Return every record of the finished phases of a run, in the order written.

    Raises:
        ArenaError: if the run has no records, or a line is no record.
    """
    path = run / "records.jsonl"
    if not path.is_file():
        raise ArenaError(f"{run}: expected the directory of a run, with a records.jsonl in it")
    return parse_lines(path, _finished_lines(path))


def to_lines(records: Iterable[Record]) -> str:
    """Return records as lines of JSON, ``kind`` first, floats in full precision."""
    return "".join(json.dumps(asdict(record)) + "\n" for record in records)


def parse_lines(path: Path, lines: Iterable[str]) -> list[Record]:
    """Return the records of the lines of a file.

    Raises:
        ArenaError: naming file, line and field, if a line is no JSON object of a known kind with exactly its fields.
    """
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(_ADAPTER.validate_json(line))
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = "".join(f"{name}: " for name in problem["loc"][1:])
            message = f"expected a record of the arena ({place}{problem['msg']})"
            raise ArenaError(f"{path}, line {number}: {message}") from error
    return records


def _finished_lines(path: Path) -> list[str]:
    """Return the lines of ``records.jsonl`` up to the last line that closes a phase."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    closing = [number for number, line in enumerate(lines, 1) if line.endswith("\n") and '"kind": "phase"' in line]
    return lines[: closing[-1]] if closing else []


class RecordBook:
    """The records of a race in progress, appended phase by phase. Lines of an unfinished phase are removed first."""

    def __init__(self, run: Path) -> None:
        self.path = run / "records.jsonl"
        finished = _finished_lines(self.path)
        if self.path.is_file() and self.path.read_text(encoding="utf-8") != "".join(finished):
            write_atomically(self.path, "".join(finished).encode())
        self.records = parse_lines(self.path, finished)

    def closed(self, phase: str, round_index: int, player: str) -> PhaseRecord | None:
        """Return the record with which that phase closed. None while it is open."""
        for record in self.records:
            is_phase = isinstance(record, PhaseRecord)
            if is_phase and (record.phase, record.round, record.player) == (phase, round_index, player):
                return record
        return None

    def append(self, records: list[Record]) -> None:
        """Append the records of a phase, its ``PhaseRecord`` last, in one write that reaches the disk."""
        if not (records and isinstance(records[-1], PhaseRecord)):
            raise ValueError("the records of a phase end with its PhaseRecord")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(to_lines(records))
            file.flush()
            os.fsync(file.fileno())
        self.records.extend(records)


def write_scores(run: Path, name: str, scores: Scores) -> ScoreFile:
    """Write ``scores/<name>.npz`` below the run and return its place and hash. Equal scores give equal bytes."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for field, values in scores._asdict().items():
            array = BytesIO()
            np.lib.format.write_array(array, np.ascontiguousarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{field}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED)
    path = run / "scores" / f"{name}.npz"
    write_atomically(path, buffer.getvalue())
    return ScoreFile(path.relative_to(run).as_posix(), hashlib.sha256(buffer.getvalue()).hexdigest())


def read_scores(run: Path, scores: ScoreFile) -> Scores:
    """Return the scores of a record.

    Raises:
        ArenaError: if the file is missing, or differs from the file that was written with the record.
    """
    path = run / scores.file
    if not path.is_file():
        raise ArenaError(f"{path}: the scores of a record are missing")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != scores.sha256:
        raise ArenaError(f"{path}: not the scores of its record (SHA-256 differs)")
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return Scores(**{field: arrays[field] for field in Scores._fields})
