"""``python -m arena.score RUN DIR``: any folder of images before a run's detectors; CSV on stdout, one row an image.

A column a technique holds the probability that the image is fake, calibrated on the run's validation images: it holds
for images like those, and for as many fakes as reals among them.
"""

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from arena.errors import ArenaError

BATCH = 256
"""Files decoded and scored at once: memory does not grow with the folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Score, summarise on stderr, and return the exit code: 0, or 2 with one line on stderr, or 130."""
    options = _parser().parse_args(arguments)
    try:
        _score(options.run, options.folder, options.round)
    except BrokenPipeError:  # whoever read the rows has enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the interpreter flushes it at its end
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ArenaError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m arena.score", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a run")
    parser.add_argument("folder", type=Path, metavar="DIR", help="of the images, in folders of folders too")
    parser.add_argument("--round", type=int, metavar="R", help="whose detectors (the last round's)")
    return parser


def _score(run: Path, folder: Path, round: int | None) -> None:
    # Nothing heavy is imported before there is something to do.
    import torch

    from arena.data.decode import decode_all
    from arena.data.folder import find_files
    from arena.data.progress import progress
    from arena.score.panel import Panel
    from arena.score.summary import summary

    panel = Panel.of(run, round)
    files = find_files(folder, "DIR")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["path", *panel.columns])
    rows, skipped, enlarged = [], 0, 0
    for start in progress(range(0, len(files), BATCH), "scoring"):
        some = files[start : start + BATCH]
        decoding = decode_all(some, panel.resolution, panel.channels, shown=False)
        for k, reason in decoding.failures.items():
            print(f"skipped {some[k].relative_to(folder)}: {reason}", file=sys.stderr)
        skipped += len(decoding.failures)
        enlarged += decoding.enlarged
        if len(decoding.images):
            usable = [file for k, file in enumerate(some) if k not in decoding.failures]
            rows.append(panel.probabilities(decoding.images))
            for file, row in zip(usable, rows[-1].tolist(), strict=True):
                writer.writerow([file.relative_to(folder).as_posix(), *(f"{value:.4f}" for value in row)])
    if not rows:
        raise ArenaError(f"{folder}: expected images, found none that could be read among {len(files)} files")
    for line in summary(panel, torch.cat(rows), skipped, enlarged):
        print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
