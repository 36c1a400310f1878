"""Steps 2 and 3: test a round's fakes with the detectors in the loop, as they were and as they learn from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from arena.config.schema import BAG, STACK
from arena.core.files import files_in
from arena.core.progress import Progress
from arena.core.seeding import derive_seed
from arena.core.tensors import load_module, save_module
from arena.data.reals import Reals
from arena.detectors.base import Detector, GanAwareDetector
from arena.detectors.gallery import Gallery, Labelled, score_all
from arena.detectors.heads import PlattScaling
from arena.detectors.stack import Stack
from arena.race.case import labelled
from arena.race.checkpoints import SHUFFLED, load_bank, load_battery, load_detector
from arena.race.hardening import attack_of
from arena.race.judging import score_record, scores_of, stacked
from arena.race.race import PhaseOutput, Race
from arena.records.schema import Record, Regime, ScoreRecord
from arena.training.battery import BatchGroup, train_battery
from arena.training.meter import Meter

LOOP_VALIDATION_SHARE = 0.25
"""Share of the detectors' reals that stop them."""


def confront(race: Race, round_index: int) -> PhaseOutput:
    """Score G_round's fakes with the detectors of each earlier round.

    A frozen detector may be driven to AUC 0. That does not hide the fakes, since the opposite sign would catch all of
    them (rule of evidence 3). The latest detectors test the whole bank, older ones a payoff cell.
    """
    records: list[Record] = []
    whole, cell = (evaluation_set(race, round_index, cell=cell) for cell in (False, True))
    for past in range(round_index):
        tested = whole if past == round_index - 1 else cell
        records += evaluate(race, *tested, *load_battery(race, past), generator_round=round_index, detector_round=past)
    return PhaseOutput(records, len(whole[1]))


def retrain(race: Race, round_index: int, progress: Progress) -> PhaseOutput:
    """Train every detector further, and fit the stack over them again.

    They are tested on all of this round's fakes, and on a cell of the fakes of every older round.
    """
    progress.expect(race.battery.images)
    meter = Meter()
    detectors, stack, images = train_in_loop(race, round_index, progress, meter)
    records: list[Record] = []
    for generator_round in range(round_index, -1, -1):
        tested = evaluation_set(race, generator_round, cell=generator_round < round_index)
        records += evaluate(
            race, *tested, detectors, stack, generator_round=generator_round, detector_round=round_index
        )
    if race.judge.hardened and race.judge.hardened_laundered:
        attack_of(race, round_index)  # its network learns once, for all judges of the round
    kept = files_in(race.layout.detector(round_index, STACK).parent)
    return PhaseOutput(records, images, meter.spent, [path for path in kept if not path.stem.endswith(f".{SHUFFLED}")])


def evaluation_set(race: Race, generator_round: int, cell: bool) -> tuple[Reals, Gallery]:
    """Return the judge reals, and a gallery of them and of a round's test fakes.

    Tests on the diagonal of the payoff matrix use all images. An off-diagonal ``cell`` has a fixed number of each
    class, so that every round costs the same.
    """
    reals, fakes = race.judge_reals, load_bank(race, generator_round).test
    if cell:
        rng = np.random.default_rng(race.seed_of("cell"))
        reals = reals[np.sort(rng.permutation(len(reals))[: race.bank.cell])]
        fakes = fakes[: race.bank.cell]
    return reals, Gallery(torch.cat([reals.images, fakes]), race.evidence, race.machine.device)


def evaluate(
    race: Race,
    reals: Reals,
    gallery: Gallery,
    detectors: Mapping[str, Detector],
    stack: Stack | None,
    *,
    generator_round: int,
    detector_round: int,
) -> list[ScoreRecord]:
    """Test the whole battery on an evaluation set, write its scores, and return one record per technique.

    ``detector_round`` is the round in which the detectors were last retrained.
    """
    fakes = np.arange(len(gallery) - len(reals))
    scores = {name: scores_of(logits, reals, fakes) for name, logits in score_all(detectors, gallery).items()}
    if stack is not None:
        scores[STACK] = stacked(stack, list(scores.values()))
        if race.bag is not None:
            scores[BAG] = race.bag(scores[STACK])
    regime: Regime = "frozen" if detector_round < generator_round else "retrained"
    return [
        score_record(race, kept, technique, regime, generator_round=generator_round, detector_round=detector_round)
        for technique, kept in scores.items()
    ]


@dataclass(frozen=True)
class LoopReals:
    """Reals that the detectors in the loop learn from and stop on. The access decides from which part they are.

    ``whole`` has both in one.
    """

    train: Reals
    validation: Reals
    whole: Reals

    @classmethod
    def of(cls, race: Race) -> "LoopReals":
        """Split the part once for all rounds. ``other_reals`` has as many reals as the condition it controls.

        The split depends on ``data.seed`` alone. Reals that stop the detectors of a branch trained none in its origin.
        """
        return cls.of_part(race, race.access.reals)

    @classmethod
    def of_part(cls, race: Race, name: Literal["detector", "generator"]) -> "LoopReals":
        """Split another part in the same way."""
        part: Reals = race.data.part(name)
        rng = np.random.default_rng(derive_seed(race.data.seed, "detector-validation"))
        drawn = part[rng.permutation(len(part))[: len(race.data.split.detector)]]
        validation, train = drawn.split_off(int(len(drawn) * LOOP_VALIDATION_SHARE), rng)
        return cls(train, validation, drawn)


def train_in_loop(
    race: Race, round_index: int, progress: Progress, meter: Meter
) -> tuple[dict[str, Detector], Stack | None, int]:
    """Train the battery, fit stack and calibration on its validation images, and save all.

    Returns:
        The detectors, the stack over them, and the number of images trained on.
    """
    gallery, train, validation = loop_images(race, round_index)
    begun = {technique: begin(race, technique, round_index) for technique in race.members}
    images = 0
    for fresh in (True, False):
        detectors = {technique: detector for technique, (detector, new) in begun.items() if new is fresh}
        if detectors:
            images += train_battery(
                [BatchGroup(detectors, train, validation, race.seed_of("retrain", round_index))],
                gallery,
                settings=race.battery,
                images=race.battery.images,
                fresh=fresh,
                machine=race.machine,
                progress=progress,
                logger=race.tracker.logger(f"round_{round_index:02d}/retrain"),
                meter=meter,
            )
    battery = {technique: detector for technique, (detector, _) in begun.items()}
    logits = score_all(battery, gallery, validation.which)
    stack = None
    if race.stack is not None:
        stack = race.stack(members=len(battery))
        stack.fit(torch.stack(list(logits.values()), dim=1), validation.labels)
        save_module(stack, race.layout.detector(round_index, STACK))
    for technique, detector in battery.items():
        save_module(detector, race.layout.detector(round_index, technique))
        calibration = PlattScaling.of(logits[technique], validation.labels)
        save_module(calibration, race.layout.detector(round_index, f"{technique}.calibration"))
    return battery, stack, images


def train_anew(
    race: Race,
    techniques: Iterable[str],
    images: tuple[Gallery, Labelled, Labelled],
    seed: int,
    round_index: int,
    meter: Meter | None = None,
) -> dict[str, Detector]:
    """Train a new detector of each technique with the budget of a detector in the loop.

    Args:
        race: of the detectors.
        techniques: members.
        images: a gallery, and which of its images train and which stop the detectors.
        seed: of weights and batches.
        round_index: in which they learn.
        meter: counts what they cost.
    """
    gallery, train, validation = images
    detectors = {
        name: race.new_detector(name, derive_seed(seed, "initialise", player=name), round_index) for name in techniques
    }
    train_battery(
        [BatchGroup(detectors, train, validation, seed)],
        gallery,
        settings=race.battery,
        images=race.battery.images,
        fresh=True,
        machine=race.machine,
        meter=meter,
    )
    return detectors


def loop_images(race: Race, round_index: int) -> tuple[Gallery, Labelled, Labelled]:
    """Return the images of a round's retraining, and which of them train and which stop the detectors."""
    bank = load_bank(race, round_index)
    return beside_loop_reals(race, with_replay(race, bank.train, round_index), bank.validation)


def beside_loop_reals(race: Race, train: Tensor, validation: Tensor) -> tuple[Gallery, Labelled, Labelled]:
    """Return fakes beside the reals of the loop, and which of both train and which stop detectors.

    Args:
        race: of the reals.
        train: fakes to learn from, uint8 (N, C, H, W).
        validation: fakes to stop on.
    """
    reals = LoopReals.of(race)
    parts = [reals.train.images, train, reals.validation.images, validation]
    gallery = Gallery(torch.cat(parts), race.evidence, race.machine.device)
    places = np.split(np.arange(len(gallery)), np.cumsum([len(part) for part in parts])[:-1])
    return gallery, labelled(places[0], places[1]), labelled(places[2], places[3])


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
            load_module(detector, origin)
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
