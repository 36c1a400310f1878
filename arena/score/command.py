"""Score a folder of images with the detectors of a run."""

import argparse
import csv
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from arena.core.errors import ArenaError
from arena.score.ensemble import DetectorEnsemble


def summary(panel: DetectorEnsemble, probabilities: Tensor, skipped: int, enlarged: int) -> Iterator[str]:
    """Lines for the user.

    Args:
        panel: who scored.
        probabilities: (N, techniques) of being fake.
        skipped: files that could not be read.
        enlarged: images smaller than the run's, which enlarging leaves traces in.
    """
    yield f"{len(probabilities)} images scored by the detectors of round {panel.round}, {skipped} files skipped"
    if enlarged:
        yield f"{enlarged} images are smaller than {panel.resolution} pixels and were enlarged, which leaves traces"
    width = max(map(len, panel.columns))
    for name, column in zip(panel.columns, probabilities.T, strict=True):
        above = float((column > 0.5).double().mean())
        yield f"  {name:<{width}}  mean {column.mean():.3f}, above 1/2: {above:.1%}"
    yield (
        "these probabilities hold for images like those of this run (its data, its generator) "
        "and where as many are fake as real; elsewhere they only rank"
    )


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


def _score(run: Path, folder: Path, round_index: int | None) -> None:
    # Nothing heavy is imported before there is something to do.
    import torch

    from arena.data.files import decode_all, find_files, progress
    from arena.score.ensemble import DetectorEnsemble

    panel = DetectorEnsemble.of(run, round_index)
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
