"""Read the log of an offline run of W&B: LevelDB's format, each record a protocol buffer."""

import json
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import ArtifactRecord, Record, RunRecord  # pyright: ignore[reportAttributeAccessIssue]

HEADER, BLOCK, RECORD = 7, 32768, 7
"""Bytes of the file's header, of a block, and of the header of each piece of a record."""
FULL, FIRST, LAST = 1, 2, 4


@dataclass
class OfflineRun:
    """One ``offline-run-*`` folder.

    ``history`` holds the rows of ``run.log`` in order, ``steps`` the metric each metric (or glob) runs over,
    ``summary`` what was set on the run itself, and ``files`` the media it keeps beside the log.
    """

    folder: Path
    run: RunRecord = field(default_factory=RunRecord)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    steps: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, ArtifactRecord] = field(default_factory=dict)
    exit_code: int | None = None

    def over(self, key: str, axis: str = "round") -> list[tuple[Any, Any]]:
        """The curve of a metric: its values beside those of its axis, in the order logged."""
        return [(row[axis], row[key]) for row in self.history if key in row]

    @property
    def metrics(self) -> set[str]:
        """Every key of the history without W&B's own."""
        return {key for row in self.history for key in row if not key.startswith("_")}

    def media(self, value: dict[str, Any]) -> Path:
        """The file of a logged picture or table."""
        return self.folder / "files" / value["path"]


def offline_runs(run: Path) -> list[OfflineRun]:
    """Offline runs in a run directory, the earliest first.

    W&B's own process may still write when ``finish`` returns, so this waits for the last record, the exit.
    """
    return [_read(folder) for folder in sorted((run / "wandb").glob("offline-run-*"))]


def _read(folder: Path) -> OfflineRun:
    deadline = time.monotonic() + 30
    while True:
        offline = OfflineRun(folder)
        for record in _records(next(folder.glob("run-*.wandb")).read_bytes()):
            _take(offline, record)
        if offline.exit_code is not None or time.monotonic() > deadline:
            return offline
        time.sleep(0.05)


def _take(offline: OfflineRun, record: Record) -> None:
    kind = record.WhichOneof("record_type")
    if kind == "run":
        offline.run = record.run
        offline.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
    elif kind == "config":
        offline.config |= {item.key: json.loads(item.value_json) for item in record.config.update}
    elif kind == "history":
        row: dict[str, Any] = {}
        for item in record.history.item:
            _put(row, list(item.nested_key) or [item.key], json.loads(item.value_json))
        offline.history.append(row)
    elif kind == "metric":
        offline.steps[record.metric.name or record.metric.glob_name] = record.metric.step_metric
    elif kind == "summary":
        for item in record.summary.update:
            _put(offline.summary, list(item.nested_key) or [item.key], json.loads(item.value_json))
    elif kind == "artifact":
        offline.artifacts[record.artifact.name] = record.artifact
    elif kind == "exit":
        offline.exit_code = record.exit.exit_code


def _put(into: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        into = into.setdefault(key, {})
    into[keys[-1]] = value


def _records(content: bytes) -> Iterator[Record]:
    """Records written so far; a piece with a wrong checksum is an error."""
    at, whole = HEADER, b""
    while at + RECORD <= len(content):
        if BLOCK - at % BLOCK < RECORD:  # padding at the end of a block
            at += BLOCK - at % BLOCK
            continue
        checksum, length, kind = struct.unpack_from("<LHB", content, at)
        piece = content[at + RECORD : at + RECORD + length]
        if kind == 0 or len(piece) < length:
            return
        assert checksum == zlib.crc32(bytes([kind]) + piece) & 0xFFFFFFFF
        whole = piece if kind in (FULL, FIRST) else whole + piece
        if kind in (FULL, LAST):
            yield Record.FromString(whole)
        at += RECORD + length
