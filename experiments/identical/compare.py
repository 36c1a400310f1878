"""Compare two run directories array by array: scores, fakes and every number of the verdict.

Files are matched by their place in the run directory, and numbers of the verdict by their key. Keys that only one side
has are listed and do not count as a difference. The exit code is 1 if an array or a number differs.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np


def arrays(run: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and content of every array below ``scores/`` and ``banks/``."""
    for path in sorted([*(run / "scores").rglob("*.npz"), *(run / "banks").rglob("*.npz")]):
        with np.load(path, allow_pickle=False) as stored:
            for name in stored.files:
                yield f"{path.relative_to(run)}:{name}", stored[name]


def numbers(value: object, key: str = "") -> Iterator[tuple[str, float | bool]]:
    """Yield dotted key and value of every number and truth value in parsed JSON."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from numbers(item, f"{key}.{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from numbers(item, f"{key}[{place}]")
    elif isinstance(value, int | float):
        yield key, value


def main() -> int:
    """Print the differences and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="run directory of the earlier version")
    parser.add_argument("after", type=Path, help="run directory of the later version")
    options = parser.parse_args()
    before, after = dict(arrays(options.before)), dict(arrays(options.after))
    different = [name for name in before.keys() & after.keys() if not np.array_equal(before[name], after[name])]
    verdicts = [
        dict(numbers(json.loads((run / "verdict.json").read_text()))) for run in (options.before, options.after)
    ]
    shared = verdicts[0].keys() & verdicts[1].keys()
    different += [f"verdict{key}" for key in shared if verdicts[0][key] != verdicts[1][key]]
    alone = sorted(before.keys() ^ after.keys()) + sorted(f"verdict{key}" for key in verdicts[0].keys() ^ verdicts[1])
    print(f"{len(before.keys() & after.keys())} arrays and {len(shared)} numbers of the verdict compared")
    print(f"{len(different)} differ", *sorted(different), sep="\n  ")
    print(f"{len(alone)} in one run alone", *alone, sep="\n  ")
    return 1 if different or not before.keys() & after.keys() else 0


if __name__ == "__main__":
    sys.exit(main())
