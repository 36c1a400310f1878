"""Notice files of a run that are not as its records have them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from arena.core.errors import ArenaError
from arena.core.files import sha256_of
from arena.records.schema import FitnessRecord, MarginRecord, PhaseKey, PhaseRecord, Record, ScoreRecord
from arena.records.store import read_records


def recorded_files(records: Iterable[Record]) -> dict[str, str]:
    """Return the SHA-256 (hex) of every file that records name, by its place relative to the run directory."""
    hashes: dict[str, str] = {}
    for record in records:
        hashes |= _files_of(record)
    return hashes


def files_by_phase(records: Iterable[Record]) -> dict[PhaseKey, set[str]]:
    """Return the files that the records of each phase name, relative to the run directory."""
    phases: dict[PhaseKey, set[str]] = {}
    files: set[str] = set()
    for record in records:
        files |= _files_of(record).keys()
        if isinstance(record, PhaseRecord):  # it ends the records of its phase
            phases[record.key], files = files, set()
    return phases


def damaged_files(run: Path, records: Iterable[Record]) -> list[str]:
    """Return the files of records that are missing or damaged, relative to the run directory."""
    return [name for name, digest in recorded_files(records).items() if not _is(run / name, digest)]


def check_files(run: Path, files: Sequence[Path]) -> None:
    """Compare files of a run, before they are read, with its records. Files that no record names are left alone.

    Raises:
        ArenaError: naming the file that is damaged or missing.
    """
    if not (run / "records.jsonl").exists():
        return
    hashes = recorded_files(read_records(run))
    for file in files:
        digest = hashes.get(file.relative_to(run).as_posix())
        if digest is not None and not _is(file, digest):
            raise ArenaError(
                f"{file}: expected the file that the records name, found another or none (SHA-256 differs). "
                "The command that ran the race makes it again"
            )


def _files_of(record: Record) -> dict[str, str]:
    if isinstance(record, (ScoreRecord, FitnessRecord, MarginRecord)):
        return {record.scores.file: record.scores.sha256}
    return record.files if isinstance(record, PhaseRecord) else {}


def _is(file: Path, digest: str) -> bool:
    return file.is_file() and sha256_of(file) == digest
