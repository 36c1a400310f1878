"""Make the opponents of a response, from the detectors that the generator may attack."""

import torch
from torch import Tensor

from arena.core.seeding import derive_seed
from arena.detectors.gallery import Gallery, score
from arena.race.checkpoints import SHUFFLED, load_bank, load_detector, save_tensors
from arena.race.phases.detectors import LoopReals, loop_images
from arena.race.race import Race
from arena.training.battery import BatchGroup, train_battery
from arena.training.opponents.equal_norm import Calibrated, EqualNormOpponents, calibrated, with_shuffled_labels
from arena.training.opponents.frozen import FrozenOpponents, Member
from arena.training.opponents.opponents import Opponents

CALIBRATED = 256
"""Most fakes at which shuffled-label detectors are calibrated."""


def opponents(race: Race, round_index: int) -> Opponents | None:
    """Return the opponents of a response to this round. None without any."""
    members = race.pool.members(race.attacked, round_index)
    if not members:
        return None
    detectors = {member: load_detector(race, member.technique, member.round) for member in members}
    reals = LoopReals.of(race).validation  # they stopped the detectors, and trained none
    real_logits = {
        member: score(detector, reals, race.evidence).to(race.machine.device) for member, detector in detectors.items()
    }
    attack = FrozenOpponents(detectors, real_logits, race.pool, race.objective)
    return attack if race.access.labels == "true" else equal_norm(race, attack, round_index)


def equal_norm(race: Race, attack: FrozenOpponents, round_index: int) -> EqualNormOpponents:
    """Return the control of an attack, by shuffled-label detectors in place of the attacked ones.

    Those of this round are trained here. All are calibrated on validation fakes of this round.
    """
    train_shuffled(race, round_index)
    fakes, reals = load_bank(race, round_index).validation[:CALIBRATED], LoopReals.of(race).validation
    seen = Gallery(fakes, race.evidence, race.machine.device).images(torch.arange(len(fakes)))
    controls, real_logits = dict[Member, Calibrated](), dict[Member, Tensor]()
    for member, true in attack.detectors.items():
        detector = load_detector(race, f"{member.technique}.{SHUFFLED}", member.round)
        controls[member] = calibrated(detector.eval().requires_grad_(False), true, seen)
        real_logits[member] = controls[member].forward(score(detector, reals, race.evidence).to(race.machine.device))
    return EqualNormOpponents(attack, controls, real_logits)


def train_shuffled(race: Race, round_index: int) -> None:
    """Train a new detector of each attacked technique on the images of a round's retraining, with shuffled labels.

    It has the budget of a detector in the loop, and is kept beside that detector.
    """
    paths = {name: race.layout.detector(round_index, f"{name}.{SHUFFLED}") for name in race.attacked}
    if all(path.exists() for path in paths.values()):
        return
    gallery, train, validation = loop_images(race, round_index)
    seed = race.seed_of("shuffled", round_index)
    detectors = {
        name: race.new_detector(name, derive_seed(seed, "initialise", player=name), round_index) for name in paths
    }
    train = with_shuffled_labels(train, derive_seed(seed, "train"))
    validation = with_shuffled_labels(validation, derive_seed(seed, "validation"))
    train_battery(
        [BatchGroup(detectors, train, validation, seed)],
        gallery,
        settings=race.battery,
        images=race.battery.images,
        fresh=True,
        machine=race.machine,
    )
    for name, path in paths.items():
        save_tensors(detectors[name], path)
