"""Step 3, retrain: each detector on reals and fakes, from where it stood, old fakes replayed. Regime "retrained"."""

from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from arena.config.schema import STACK
from arena.core.files import write_atomically
from arena.core.progress import Progress
from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.detectors.base import Detector, GanAwareDetector
from arena.detectors.calibration import Calibration
from arena.detectors.gallery import Gallery, score_all
from arena.detectors.stack import Stack
from arena.race.judging import Evaluation, labelled, load_detector, score_records
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.schema import Record
from arena.records.store import RecordBook
from arena.training.battery import train_battery

VALIDATION_SHARE = 0.25


def retrain(race: Race, book: RecordBook, progress: Progress, round_index: int, player: str) -> PhaseOutput:
    """Train every detector into its next self, and fit the stack over them anew.

    They are tested on this round's fakes and, in cells, on older ones.
    """
    progress.expect(race.battery.images)
    detectors, stack, images = _retrain(race, progress, round_index)
    records: list[Record] = []
    for generator_round in range(round_index, -1, -1):
        test = Evaluation.of(race, generator_round, cell=generator_round < round_index)
        found = test.of_battery(race, detectors, stack)
        records += score_records(race, found, round_index, "retrained", generator_round, round_index)
    return PhaseOutput(records, images)


@dataclass(frozen=True)
class LoopReals:
    """The reals the detectors in the loop learn from and stop on, as access decides: detector- or generator-train."""

    train: Tensor
    validation: Tensor

    @classmethod
    def of(cls, race: Race) -> "LoopReals":
        """Split that part once, for all rounds. The placebo gets as many as the true condition has.

        ``data.seed`` splits: what stops the detectors of a branch (``race.from``) must have trained none in its origin.
        """
        part: Reals = race.data.part(race.access.reals)
        rng = np.random.default_rng(derive_seed(race.data.seed, "detector-validation"))
        mine = part[rng.permutation(len(part))[: len(race.data.split.detector)]]
        validation, train = mine.parted(int(len(mine) * VALIDATION_SHARE), rng)
        return cls(train.images, validation.images)


def _retrain(race: Race, progress: Progress, round_index: int) -> tuple[dict[str, Detector], Stack | None, int]:
    """Train the battery in the loop, fit stack and calibration on its validation images, and save all."""
    reals, bank = LoopReals.of(race), race.forged(round_index)
    fakes = with_replay(race, bank.train, round_index)
    parts = [reals.train, fakes, reals.validation, bank.validation]
    gallery = Gallery(torch.cat(parts), race.evidence, race.machine.device)
    places = np.split(np.arange(len(gallery)), np.cumsum([len(part) for part in parts])[:-1])
    validation = labelled(places[2], places[3])
    seed = race.seed_of("retrain", round_index)
    begun = {technique: begin(race, technique, round_index) for technique in race.members}
    images = 0
    for fresh in (True, False):
        detectors = {technique: detector for technique, (detector, new) in begun.items() if new is fresh}
        if detectors:
            images += train_battery(
                detectors,
                gallery,
                labelled(places[0], places[1]),
                validation,
                settings=race.battery,
                images=race.battery.images,
                fresh=fresh,
                seed=seed,
                machine=race.machine,
                progress=progress,
                logger=race.tracker.logger(f"round_{round_index:02d}/retrain"),
            )
    battery = {technique: detector for technique, (detector, _) in begun.items()}
    logits = score_all(battery, gallery, validation.which)
    stack = None
    if race.stack is not None:
        stack = race.stack(members=len(battery))
        stack.fit(torch.stack(list(logits.values()), dim=1), validation.labels)
        save_tensors(stack, race, round_index, STACK)
    for technique, detector in battery.items():
        save_tensors(detector, race, round_index, technique)
        calibration = Calibration.of(logits[technique], validation.labels)
        save_tensors(calibration, race, round_index, f"{technique}.calibration")
    return battery, stack, images


def begin(race: Race, technique: str, round_index: int) -> tuple[Detector, bool]:
    """A detector as this round finds it, and whether it is new: else as the last round, or the race's origin, left it.

    An insider meets the GAN of the round before.
    """
    seed = derive_seed(race.seed_of("retrain", round_index, technique), "initialise")
    origin = race.start.detector(technique, race.access.reals) if race.start and not round_index else None
    if round_index:
        detector = load_detector(race, technique, round_index - 1)
    else:
        detector = race.new_detector(technique, seed, round_index)
        if origin:
            detector.load_state_dict(load_file(origin))
    new = not round_index and not origin
    if isinstance(detector, GanAwareDetector) and not new:  # what was loaded looked through an earlier GAN
        detector.meet(*race.gan_before(round_index))
    return detector.to(race.machine.device), new


def with_replay(race: Race, fakes: Tensor, round_index: int) -> Tensor:
    """This round's training fakes, with a share of them exchanged for fakes of earlier rounds, evenly over those."""
    replayed = int(len(fakes) * race.battery.replay) if round_index else 0
    if not replayed:
        return fakes
    rng = np.random.default_rng(race.seed_of("replay", round_index))
    which = np.sort(rng.integers(round_index, size=replayed))
    old = []
    for past in np.unique(which).tolist():
        bank = race.forged(past).train
        chosen = rng.permutation(len(bank))[: int((which == past).sum())]
        old.append(bank[torch.from_numpy(chosen)])
    return torch.cat([fakes[: len(fakes) - replayed], *old])


def save_tensors(module: nn.Module, race: Race, round_index: int, name: str) -> None:
    """A detector's tensors as safetensors, whole or not at all."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    write_atomically(race.folder(round_index) / "detectors" / f"{name}.safetensors", save(tensors))
