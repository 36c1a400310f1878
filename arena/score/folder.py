"""Score a folder of images with the detectors of a finished run; neither the race nor its data is built."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

import torch
from omegaconf import OmegaConf
from torch import Tensor

from arena.config.instantiate import SHAPE, instantiate
from arena.config.saved import members, section
from arena.config.schema import STACK
from arena.config.trust import read_own_config
from arena.core.errors import ArenaError, error_context
from arena.core.files import files_in
from arena.core.tensors import load_module
from arena.core.text import printable
from arena.data.decoding import decode_images, progress_bar
from arena.data.files import find_files
from arena.detectors.base import Detector, GanAwareDetector
from arena.detectors.gallery import Gallery, score_all
from arena.detectors.heads import PlattScaling
from arena.detectors.stack import Stack
from arena.imaging.evidence import Evidence
from arena.records.integrity import check_files
from arena.records.layout import RunLayout

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
            print(f"skipped {printable(str(batch[k].relative_to(folder)))}: {printable(reason)}", file=notes)
        skipped += len(decoding.failures)
        enlarged += decoding.enlarged
        if len(decoding.images):
            usable = [file for k, file in enumerate(batch) if k not in decoding.failures]
            scored.append(ensemble.probabilities(decoding.images))
            for file, row in zip(usable, scored[-1].tolist(), strict=True):
                writer.writerow([printable(file.relative_to(folder).as_posix()), *(f"{value:.4f}" for value in row)])
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


@dataclass(frozen=True)
class DetectorEnsemble:
    """The detectors of one round of a run, calibrated for that run's data with as many fakes as reals.

    Args:
        detectors: technique -> its detector, as ``retrain`` left it.
        calibrations: technique -> the calibration of its scores.
        stack: the stack on all detectors, or None if the run has none.
        evidence: the evidence path of the run.
        resolution: side in pixels of the images, before the evidence path.
        channels: 1 (grey) or 3 (colour).
        round_index: the round.
    """

    detectors: dict[str, Detector]
    calibrations: dict[str, PlattScaling]
    stack: Stack | None
    evidence: Evidence
    resolution: int
    channels: int
    round_index: int

    @classmethod
    def load(cls, run: Path, round_index: int | None = None) -> Self:
        """Load the detectors of a round.

        Args:
            run: the run directory.
            round_index: the round; None takes the last one with checkpoints.

        Raises:
            ArenaError: if ``run`` is no run, names code from outside of arena that was not allowed, or has no detectors
                of that round, or damaged ones.
        """
        config = read_own_config(run)
        layout = RunLayout(run)
        round_index, folder = layout.at_round(layout.detectors(), round_index, "detectors")
        check_files(run, files_in(folder))

        images = section(config, "images")
        resolution, channels, levels = (int(str(images[key])) for key in SHAPE)
        path = dict(section(config, "evidence"))
        if path.get("levels") is None:
            path["levels"] = levels  # as in the race: those of the data
        evidence = instantiate(OmegaConf.create(path), "evidence")
        seen = evidence.resolution(resolution)

        battery = section(config, "battery")
        nodes = section(battery, "members")
        detectors, calibrations = {}, {}
        for name in members(config):
            key = f"battery.members.{name}"
            factory = instantiate(OmegaConf.create({"node": nodes[name]}).node, key, SHAPE)
            with error_context(key):
                detector: Detector = factory(resolution=seen, channels=channels, levels=levels)
            if isinstance(detector, GanAwareDetector):
                # Networks of the run's sizes, without its weights: the detector's own checkpoint holds the weights.
                settings = dict(section(config, "generator"))
                node = OmegaConf.create(settings | ({"weights": None} if "weights" in settings else {}))
                shape = {"resolution": resolution, "channels": channels, "levels": levels}
                generator = instantiate(node, "generator", SHAPE)(**shape)
                detector.attach_gan(generator, generator.discriminator(seen))
            detectors[name], calibrations[name] = detector, PlattScaling()
            load_module(detector, folder / f"{name}.safetensors")
            load_module(calibrations[name], folder / f"{name}.calibration.safetensors")
        stack = None
        if battery.get(STACK) is not None:
            node = OmegaConf.create({"node": battery[STACK]}).node
            stack = instantiate(node, f"battery.{STACK}", ["members"])(members=len(detectors))
            load_module(stack, folder / f"{STACK}.safetensors")
        return cls(detectors, calibrations, stack, evidence, resolution, channels, round_index)

    @property
    def columns(self) -> list[str]:
        """Return every technique, the stack last."""
        return [*self.detectors, *([STACK] if self.stack else [])]

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """Return the probabilities (N, techniques), float64, that uint8 images (N, C, R, R) are fake."""
        logits = score_all(self.detectors, Gallery(images, self.evidence))
        columns = [self.calibrations[name].probabilities(score) for name, score in logits.items()]
        if self.stack is not None:  # a logistic regression, and so calibrated already
            members = torch.stack([logits[name] for name in self.detectors], 1)
            columns.append(torch.sigmoid(self.stack(members).double()))
        return torch.stack(columns, dim=1)
