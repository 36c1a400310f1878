"""Score a folder of images with the detectors of a finished run."""

import csv
from pathlib import Path
from typing import TextIO

import torch

from arena.core.errors import ArenaError
from arena.data.decoding import decode_images, progress_bar
from arena.data.files import find_files
from arena.score.ensemble import DetectorEnsemble

BATCH = 256
"""Files decoded and scored at once, so that memory does not grow with the folder."""


def score_folder(run: Path, folder: Path, rows: TextIO, notes: TextIO, *, round_index: int | None = None) -> None:
    """Write one CSV row per image: its path and each technique's probability that it is fake.

    Args:
        run: the run directory.
        folder: folder of the images; subfolders are read too.
        rows: stream for the CSV.
        notes: stream for the skipped files and the summary.
        round_index: round whose detectors to use; None takes the last one.

    Raises:
        ArenaError: if the run has no such detectors, or the folder has no readable image.
    """
    ensemble = DetectorEnsemble.load(run, round_index)
    files = find_files(folder, "DIR")
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["path", *ensemble.columns])
    scored, skipped, enlarged = [], 0, 0
    for start in progress_bar(range(0, len(files), BATCH), "scoring"):
        batch = files[start : start + BATCH]
        decoding = decode_images(batch, ensemble.resolution, ensemble.channels, show_progress=False)
        for k, reason in decoding.failures.items():
            print(f"skipped {batch[k].relative_to(folder)}: {reason}", file=notes)
        skipped += len(decoding.failures)
        enlarged += decoding.enlarged
        if len(decoding.images):
            usable = [file for k, file in enumerate(batch) if k not in decoding.failures]
            scored.append(ensemble.probabilities(decoding.images))
            for file, row in zip(usable, scored[-1].tolist(), strict=True):
                writer.writerow([file.relative_to(folder).as_posix(), *(f"{value:.4f}" for value in row)])
    if not scored:
        raise ArenaError(f"{folder}: expected images, found none that could be read among {len(files)} files")

    probabilities = torch.cat(scored)
    lines = [
        f"{len(probabilities)} images scored by the detectors of round {ensemble.round_index}, {skipped} files skipped"
    ]
    if enlarged:
        side = ensemble.resolution
        lines.append(f"{enlarged} images are smaller than {side} pixels and were enlarged, which leaves traces")
    width = max(map(len, ensemble.columns))
    for name, column in zip(ensemble.columns, probabilities.T, strict=True):
        above = float((column > 0.5).double().mean())
        lines.append(f"  {name:<{width}}  mean {column.mean():.3f}, above 1/2: {above:.1%}")
    lines.append(
        "these probabilities hold for images like those of this run (its data, its generator) "
        "if as many are fake as real; for other images they only rank"
    )
    print("\n".join(lines), file=notes)
