"""Verdict, figures and report of a finished race, and whether they are as its records have them."""

import json
from pathlib import Path

from arena.answer.answer import Answer
from arena.core.files import sha256_of, write_atomically
from arena.figures.draw import draw_all
from arena.report.page import write_report

OUTCOME = "outcome.json"
"""File with the SHA-256 of the records and of each file that was made from them, relative to the run directory."""


def write_outcome(answer: Answer) -> None:
    """Write verdict, figures and report of one finished run beside its records, and then their hashes.

    Raises:
        ArenaError: if a file of the run cannot be read.
    """
    run = answer.run.path
    records = sha256_of(run / "records.jsonl")
    written = [answer.verdict.write(run), *draw_all(run, run / "figures", answer), write_report(answer)]
    hashes = {path.relative_to(run).as_posix(): sha256_of(path) for path in written}
    write_atomically(run / OUTCOME, (json.dumps({"records": records, "files": hashes}, indent=2) + "\n").encode())


def outdated(run: Path) -> list[str]:
    """Return the files of an outcome that are missing, or not as they were made from the present records.

    All of them are named by ``outcome.json`` where that is missing or damaged, or the records have changed since.
    """
    try:
        held = json.loads((run / OUTCOME).read_text(encoding="utf-8"))
        if held["records"] != sha256_of(run / "records.jsonl"):
            return [OUTCOME]
        return [name for name, digest in held["files"].items() if _hash_of(run / name) != digest]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [OUTCOME]


def _hash_of(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None
