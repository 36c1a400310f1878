"""Damage the files of a run at random, and read each: it has to be read, or refused in one line.

Run ``python experiments/fuzz/runs.py RUN --seconds 600``. A file of the run is drawn again and again, and damaged:
bytes are replaced, parts cut, doubled or put in. The readers are those of the package: configuration, records,
outcome, scores, banks and weights.The exit code is 1 if an error other than
``ArenaError`` escapes, with the seed that makes it again.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from arena.config.saved import read_config
from arena.config.trust import read_own_config
from arena.core.errors import ArenaError
from arena.core.files import files_in, is_sealed
from arena.core.tensors import load_tensors
from arena.figures.images import read_mixing, read_rounds
from arena.race.gan_monitor import read_curve
from arena.records.integrity import damaged_files
from arena.records.schema import ScoreRecord
from arena.records.store import RecordBook, read_records, read_scores
from arena.report.outcome import outdated
from arena.training.meter import Meter

PIECES = (
    b"[" * 3_000,
    b"{" * 3_000,
    b"\xff\xfe",
    b"\0",
    b"NaN",
    b"1e999",
    b"-1",
    b'"',
    b"\n",
    b"null",
    b"\x1b[2J",
    b"__",
    b"&a *a",
)
LONGEST = 10
"""Seconds of one reading, after which it counts as hanging."""


def read_everything_of(run: Path, name: str) -> None:
    """Read a file of a run, as the commands do that need it."""
    path = run / name
    if name == "config.yaml":
        read_config(run)
        read_own_config(run)
    elif name == "records.jsonl":
        RecordBook(run)
        damaged_files(run, read_records(run))
    elif name == "outcome.json":
        outdated(run)
    elif path.suffix == ".safetensors":
        load_tensors(path)
    elif name.startswith("scores/"):
        for record in read_records(run):
            if isinstance(record, ScoreRecord) and record.scores.file == name:
                read_scores(run, record.scores)
    elif path.name == "curve.jsonl":
        read_curve(path.parent)
    elif path.name == "spent.json":
        Meter.load(path.parent)
    elif path.name == "done":
        is_sealed(path.parent)
    elif name.startswith("banks/"):
        (run / "records.jsonl").unlink(missing_ok=True)  # so that hashes do not refuse the file before it is read
        read_rounds(run)
        read_mixing(run)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return content with one to four damages."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(changed) + 1)
        end = min(len(changed), start + rng.choice([1, 2, 8, 100, 5_000]))
        part = changed[start:end]
        ways = [(start, start + 1, rng.randbytes(1)), (start, end, b""), (start, len(changed), b"")]
        ways += [(start, end, 2 * part), (start, start, rng.choice(PIECES)), (0, 8, rng.randbytes(8))]
        first, last, replacement = rng.choice(ways)
        changed[first:last] = replacement
    return bytes(changed)


def main() -> None:
    """Damage and read until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="directory of a finished run")
    parser.add_argument("--seconds", type=float, default=600.0, help="(default: 600)")
    parser.add_argument("--seed", type=int, default=0, help="of the first damage (default: 0)")
    parser.add_argument("--only", default="", help="start of the names of the files that are damaged (default: all)")
    options = parser.parse_args()
    escapes, counts, number = list[str](), Counter[str](), options.seed
    signal.signal(signal.SIGALRM, hangs)
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        shutil.copytree(options.run, run)
        names = [path.relative_to(run).as_posix() for path in files_in(run)]
        names = [name for name in names if name.startswith(options.only) and readable(name)]
        originals = {name: (run / name).read_bytes() for name in [*names, "records.jsonl"]}
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            rng = random.Random(number)
            name = rng.choice(names)
            (run / name).write_bytes(damaged(originals[name], rng))
            signal.alarm(LONGEST)
            try:
                read_everything_of(run, name)
                counts["read"] += 1
            except ArenaError as error:
                counts["refused"] += 1
                if "\n" in str(error):
                    escapes.append(f"seed {number}, {name}: several lines")
            except Exception as error:  # what the script looks for
                escapes.append(f"seed {number}, {name}: {type(error).__name__}: {error}")
            finally:
                signal.alarm(0)
            (run / name).write_bytes(originals[name])
            (run / "records.jsonl").write_bytes(originals["records.jsonl"])
            number += 1
    tried = number - options.seed
    print(f"{tried} damaged files: {counts['read']} read, {counts['refused']} refused, {len(escapes)} escaped")
    print("\n".join(escapes[:20]))
    sys.exit(bool(escapes))


def readable(name: str) -> bool:
    """Return whether commands read a file again. Figures, tables and the report are only written."""
    return not name.startswith(("figures/", ".")) and name not in ("report.html", "verdict.json")


def hangs(*_: object) -> None:
    """Raise what a reading is told that takes too long."""
    raise TimeoutError(f"no answer within {LONGEST} s")


if __name__ == "__main__":
    main()
