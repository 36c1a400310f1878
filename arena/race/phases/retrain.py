"""Step 3, retrain: train each detector further on reals and fakes, old fakes included. Regime "retrained"."""

from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from arena.config.schema import STACK
from arena.core.progress import Progress
from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.detectors.base import Detector, GanAwareDetector
from arena.detectors.gallery import Gallery, score_all
from arena.detectors.heads.head import PlattScaling
from arena.detectors.stack import Stack
from arena.race.checkpoints import load_bank, load_detector, save_tensors
from arena.race.evaluation import Evaluation
from arena.race.judging import labelled
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.schema import Record
from arena.training.battery import train_battery

LOOP_VALIDATION_SHARE = 0.25
"""Share of the detectors' reals that stop them."""


def retrain(race: Race, round_index: int, progress: Progress) -> PhaseOutput:
    """Train every detector further, and fit the stack over them again.

    They are tested on all of this round's fakes, and on a cell of the fakes of every older round.
    """
    progress.expect(race.battery.images)
    detectors, stack, images = train_in_loop(race, round_index, progress)
    records: list[Record] = []
    for generator_round in range(round_index, -1, -1):
        evaluation = Evaluation.of(race, generator_round, cell=generator_round < round_index)
        records += evaluation.records(race, detectors, stack, round_index)
    return PhaseOutput(records, images)


@dataclass(frozen=True)
class LoopReals:
    """Reals that the detectors in the loop learn from and stop on. The access decides from which part they are."""

    train: Tensor
    validation: Tensor

    @classmethod
    def of(cls, race: Race) -> "LoopReals":
        """Split the part once for all rounds. The placebo has as many reals as the condition it controls.

        The split depends on ``data.seed`` alone. Reals that stop the detectors of a branch trained none in its origin.
        """
        part: Reals = race.data.part(race.access.reals)
        rng = np.random.default_rng(derive_seed(race.data.seed, "detector-validation"))
        drawn = part[rng.permutation(len(part))[: len(race.data.split.detector)]]
        validation, train = drawn.split_off(int(len(drawn) * LOOP_VALIDATION_SHARE), rng)
        return cls(train.images, validation.images)


def train_in_loop(race: Race, round_index: int, progress: Progress) -> tuple[dict[str, Detector], Stack | None, int]:
    """Train the battery, fit stack and calibration on its validation images, and save all.

    Returns:
        The detectors, the stack over them, and the number of images trained on.
    """
    reals, bank = LoopReals.of(race), load_bank(race, round_index)
    fakes = with_replay(race, bank.train, round_index)
    parts = [reals.train, fakes, reals.validation, bank.validation]
    gallery = Gallery(torch.cat(parts), race.evidence, race.machine.device)
    places = np.split(np.arange(len(gallery)), np.cumsum([len(part) for part in parts])[:-1])
    train, validation = labelled(places[0], places[1]), labelled(places[2], places[3])
    begun = {technique: begin(race, technique, round_index) for technique in race.members}
    images = 0
    for fresh in (True, False):
        detectors = {technique: detector for technique, (detector, new) in begun.items() if new is fresh}
        if detectors:
            images += train_battery(
                detectors,
                gallery,
                train,
                validation,
                settings=race.battery,
                images=race.battery.images,
                fresh=fresh,
                seed=race.seed_of("retrain", round_index),
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
        save_tensors(stack, race.layout.detector(round_index, STACK))
    for technique, detector in battery.items():
        save_tensors(detector, race.layout.detector(round_index, technique))
        calibration = PlattScaling.of(logits[technique], validation.labels)
        save_tensors(calibration, race.layout.detector(round_index, f"{technique}.calibration"))
    return battery, stack, images


def begin(race: Race, technique: str, round_index: int) -> tuple[Detector, bool]:
    """Return a detector as this round begins with it, and whether it is new.

    It is the detector of the last round. At round 0 it is that of the race's origin, or a new one. A GAN-aware detector
    is attached to the GAN of the round before.
    """
    origin = race.branch.detector(technique, race.access.reals) if race.branch and not round_index else None
    if round_index:
        detector = load_detector(race, technique, round_index - 1)
    else:
        seed = derive_seed(race.seed_of("retrain", round_index, technique), "initialise")
        detector = race.new_detector(technique, seed, round_index)
        if origin:
            detector.load_state_dict(load_file(origin))
    new = not round_index and not origin
    if isinstance(detector, GanAwareDetector) and not new:  # the loaded tensors hold an earlier GAN
        detector.attach_gan(*race.gan_before(round_index))
    return detector.to(race.machine.device), new


def with_replay(race: Race, fakes: Tensor, round_index: int) -> Tensor:
    """Return this round's training fakes, with a share of them replaced evenly by fakes of earlier rounds."""
    replayed = int(len(fakes) * race.battery.replay) if round_index else 0
    if not replayed:
        return fakes
    rng = np.random.default_rng(race.seed_of("replay", round_index))
    which = np.sort(rng.integers(round_index, size=replayed))
    old = []
    for past in np.unique(which).tolist():
        bank = load_bank(race, past).train
        chosen = rng.permutation(len(bank))[: int((which == past).sum())]
        old.append(bank[torch.from_numpy(chosen)])
    return torch.cat([fakes[: len(fakes) - replayed], *old])
