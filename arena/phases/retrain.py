"""Step 3, retrain: each detector on reals and fakes, from where it stood, old fakes replayed. Regime "retrained"."""

from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from arena.arena import Arena
from arena.config import STACK
from arena.data.reals import Reals
from arena.detectors.calibration import Calibration
from arena.detectors.detector import Detector, Insider
from arena.detectors.gallery import Gallery
from arena.detectors.scoring import score_all
from arena.detectors.stack import Stack
from arena.phases.case import labelled
from arena.phases.phase import Finding
from arena.phases.testing import Test, load_detector, score_records
from arena.progress import Progress
from arena.records import Record, RecordBook, write_atomically
from arena.seeding import derive_seed
from arena.training.detecting import train_battery

VALIDATION_SHARE = 0.25


def retrain(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Train every detector into its next self, and fit the stack over them anew.

    They are tested on this round's fakes and, in cells, on older ones.
    """
    progress.expect(arena.battery.images)
    detectors, stack, images = _retrain(arena, progress, round)
    records: list[Record] = []
    for generator_round in range(round, -1, -1):
        test = Test.of(arena, generator_round, cell=generator_round < round)
        found = test.of_battery(arena, detectors, stack)
        records += score_records(arena, found, round, "retrained", generator_round, round)
    return Finding(records, images)


@dataclass(frozen=True)
class LoopReals:
    """The reals the detectors in the loop learn from and stop on, as access decides: detector- or generator-train."""

    train: Tensor
    validation: Tensor

    @classmethod
    def of(cls, arena: Arena) -> "LoopReals":
        """Split that part once, for all rounds. The placebo gets as many as the true condition has.

        ``data.seed`` splits: what stops the detectors of a branch (``race.from``) must have trained none in its origin.
        """
        part: Reals = arena.data.part(arena.access.reals)
        rng = np.random.default_rng(derive_seed(arena.data.seed, "detector-validation"))
        mine = part[rng.permutation(len(part))[: len(arena.data.split.detector)]]
        validation, train = mine.parted(int(len(mine) * VALIDATION_SHARE), rng)
        return cls(train.images, validation.images)


def _retrain(arena: Arena, progress: Progress, round: int) -> tuple[dict[str, Detector], Stack | None, int]:
    """Train the battery in the loop, fit stack and calibration on its validation images, and save all."""
    reals, bank = LoopReals.of(arena), arena.forged(round)
    fakes = with_replay(arena, bank.train, round)
    parts = [reals.train, fakes, reals.validation, bank.validation]
    gallery = Gallery(torch.cat(parts), arena.evidence, arena.machine.device)
    places = np.split(np.arange(len(gallery)), np.cumsum([len(part) for part in parts])[:-1])
    validation = labelled(places[2], places[3])
    seed = arena.seed_of("retrain", round)
    begun = {technique: begin(arena, technique, round) for technique in arena.members}
    images = 0
    for fresh in (True, False):
        detectors = {technique: detector for technique, (detector, new) in begun.items() if new is fresh}
        if detectors:
            images += train_battery(
                detectors,
                gallery,
                labelled(places[0], places[1]),
                validation,
                settings=arena.battery,
                images=arena.battery.images,
                fresh=fresh,
                seed=seed,
                machine=arena.machine,
                progress=progress,
                logger=arena.tracker.logger(f"round_{round:02d}/retrain"),
            )
    battery = {technique: detector for technique, (detector, _) in begun.items()}
    logits = score_all(battery, gallery, validation.which)
    stack = None
    if arena.stack is not None:
        stack = arena.stack(members=len(battery))
        stack.fit(torch.stack(list(logits.values()), dim=1), validation.labels)
        save_tensors(stack, arena, round, STACK)
    for technique, detector in battery.items():
        save_tensors(detector, arena, round, technique)
        calibration = Calibration.of(logits[technique], validation.labels)
        save_tensors(calibration, arena, round, f"{technique}.calibration")
    return battery, stack, images


def begin(arena: Arena, technique: str, round: int) -> tuple[Detector, bool]:
    """A detector as this round finds it, and whether it is new: else as the last round, or the race's origin, left it.

    An insider meets the GAN of the round before.
    """
    seed = derive_seed(arena.seed_of("retrain", round, technique), "initialise")
    origin = arena.start.detector(technique, arena.access.reals) if arena.start and not round else None
    if round:
        detector = load_detector(arena, technique, round - 1)
    else:
        detector = arena.new_detector(technique, seed, round)
        if origin:
            detector.load_state_dict(load_file(origin))
    new = not round and not origin
    if isinstance(detector, Insider) and not new:  # what was loaded looked through an earlier GAN
        detector.meet(*arena.gan_before(round))
    return detector.to(arena.machine.device), new


def with_replay(arena: Arena, fakes: Tensor, round: int) -> Tensor:
    """This round's training fakes, with a share of them exchanged for fakes of earlier rounds, evenly over those."""
    replayed = int(len(fakes) * arena.battery.replay) if round else 0
    if not replayed:
        return fakes
    rng = np.random.default_rng(arena.seed_of("replay", round))
    which = np.sort(rng.integers(round, size=replayed))
    old = []
    for past in np.unique(which).tolist():
        bank = arena.forged(past).train
        chosen = rng.permutation(len(bank))[: int((which == past).sum())]
        old.append(bank[torch.from_numpy(chosen)])
    return torch.cat([fakes[: len(fakes) - replayed], *old])


def save_tensors(module: nn.Module, arena: Arena, round: int, name: str) -> None:
    """A detector's tensors as safetensors, whole or not at all."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    write_atomically(arena.folder(round) / "detectors" / f"{name}.safetensors", save(tensors))
