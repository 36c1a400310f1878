"""Append records and scores to a run directory, and read them back."""

import hashlib
import json
import os
import zipfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from arena.core.errors import ArenaError, first_line
from arena.core.files import write_atomically
from arena.records.schema import PhaseKey, PhaseRecord, Record, ScoreFile, Scores

_ADAPTER: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


def read_records(run: Path) -> list[Record]:
    """Return every record of the finished phases of a run, in the order written.

    Raises:
        ArenaError: if the run has no records, or a line is damaged.
    """
    path = run / "records.jsonl"
    if not path.is_file():
        raise ArenaError(f"{run}: expected the directory of a run, with a records.jsonl in it")
    return [record for phase in _phases(path) for record in _records_of(path, phase)]


def to_lines(records: Iterable[Record]) -> str:
    """Return records as lines of JSON, ``kind`` first, floats in full precision."""
    return "".join(json.dumps(asdict(record)) + "\n" for record in records)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file with their ends, none where there is no file.

    Raises:
        ArenaError: if it is no UTF-8.
    """
    try:
        return path.read_bytes().decode().splitlines(keepends=True) if path.is_file() else []
    except UnicodeDecodeError as error:
        raise ArenaError(f"{path}: expected UTF-8 ({first_line(error)})") from error


def parse_lines(path: Path, lines: Iterable[str], first: int = 1) -> list[Record]:
    """Return the records of the lines of a file, of which ``first`` is the number of the first one.

    Raises:
        ArenaError: naming file, line and field, if a line is no JSON object of a known kind with exactly its fields.
    """
    records = []
    for number, line in enumerate(lines, first):
        try:
            records.append(_ADAPTER.validate_json(line))
        except RecursionError as error:
            raise ArenaError(f"{path}, line {number}: expected a record of the arena, found one too deep") from error
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = "".join(f"{name}: " for name in problem["loc"][1:])
            message = f"expected a record of the arena ({place}{problem['msg']})"
            raise ArenaError(f"{path}, line {number}: {message}") from error
    return records


class _Lines(NamedTuple):
    """The lines of one phase in a file, of which the first has this number."""

    first: int
    lines: list[str]


def _phases(path: Path) -> list[_Lines]:
    """Return the lines of ``records.jsonl`` phase by phase. Lines after the last one that closes a phase are left out.

    Raises:
        ArenaError: if the file cannot be read as text.
    """
    lines = read_lines(path)
    phases, begun = list[_Lines](), 0
    for number, line in enumerate(lines, 1):
        if line.endswith("\n") and '"kind": "phase"' in line:
            phases.append(_Lines(begun + 1, lines[begun:number]))
            begun = number
    return phases


def _records_of(path: Path, phase: _Lines) -> list[Record]:
    """Return the records of the lines of one phase.

    Raises:
        ArenaError: naming the line that is no record, or the lines that are not as they were written.
    """
    records = parse_lines(path, phase.lines, phase.first)
    closing = records[-1]
    assert isinstance(closing, PhaseRecord)
    text = "".join(phase.lines)
    if not closing.sha256 or _digest(text.replace(f'"sha256": "{closing.sha256}"', '"sha256": ""')) != closing.sha256:
        last = phase.first + len(phase.lines) - 1
        raise ArenaError(f"{path}, lines {phase.first} to {last}: damaged, or written by an earlier arena (SHA-256)")
    return records


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(records: Sequence[Record]) -> list[Record]:
    """Return the records of a phase, its ``PhaseRecord`` last, with the SHA-256 of their lines in that.

    They are as they come back from their lines, so that records that were read are written again to the byte. A float
    that was given as a whole number is one then.

    Raises:
        ValueError: if a ``PhaseRecord`` is not the last of them, and only the last.
    """
    closings = [number for number, record in enumerate(records, 1) if isinstance(record, PhaseRecord)]
    if closings != [len(records)]:
        raise ValueError("the records of a phase end with its PhaseRecord")
    open_line = replace(_closing(records), sha256="")
    written = parse_lines(Path("records.jsonl"), to_lines([*records[:-1], open_line]).splitlines())
    return [*written[:-1], replace(_closing(written), sha256=_digest(to_lines(written)))]


class RecordBook:
    """The records of a race in progress, phase by phase.

    Lines of an unfinished phase, and damaged ones, are passed over. The next phase that is written removes them.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / "records.jsonl"
        self.phases: list[list[Record]] = []
        self.damage: list[str] = []
        """A line for each phase whose lines are damaged. It is open again."""
        for lines in _phases(self.path):
            try:
                self.phases.append(_records_of(self.path, lines))
            except ArenaError as error:
                self.damage.append(str(error))
        size = self.path.stat().st_size if self.path.exists() else 0
        self._whole = size == len(to_lines(self.records).encode())

    @property
    def records(self) -> list[Record]:
        """All records, in the order of the file."""
        return self.records_without(())

    def records_without(self, keys: Collection[PhaseKey]) -> list[Record]:
        """Return the records of all phases but these, in the order of the file."""
        return [record for phase in self.phases if _closing(phase).key not in keys for record in phase]

    def of_phase(self, key: PhaseKey) -> list[Record]:
        """Return the records of a phase, empty while it is open."""
        return next((phase for phase in self.phases if _closing(phase).key == key), [])

    def closed(self, key: PhaseKey) -> PhaseRecord | None:
        """Return the record with which a phase closed. None while it is open."""
        phase = self.of_phase(key)
        return _closing(phase) if phase else None

    def append(self, records: Sequence[Record], later: Collection[PhaseKey] = ()) -> None:
        """Write the records of a phase, its ``PhaseRecord`` last, so that they reach the disk.

        Args:
            records: of the phase. They take the place of those that it may have.
            later: phases before which it comes, of which some may be closed already.
        """
        phase = sealed(records)
        kept = [held for held in self.phases if _closing(held).key != _closing(phase).key]
        place = next((number for number, held in enumerate(kept) if _closing(held).key in later), len(kept))
        at_the_end = self._whole and place == len(self.phases)
        self.phases = [*kept[:place], phase, *kept[place:]]
        if not at_the_end:
            write_atomically(self.path, to_lines(self.records).encode())
            self._whole = True
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(to_lines(phase))
            file.flush()
            os.fsync(file.fileno())


def _closing(phase: Sequence[Record]) -> PhaseRecord:
    closing = phase[-1]
    assert isinstance(closing, PhaseRecord)
    return closing


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
