"""Make the opponents of a response, from the detectors that the generator may attack."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from arena.answer.equilibrium import equilibrium
from arena.config.schema import STACK
from arena.core.seeding import derive_seed
from arena.core.tensors import load_module, save_module
from arena.detectors.base import Detector, FittedDetector, LearnedDetector
from arena.detectors.gallery import Gallery, score, score_all
from arena.metrics.auc import auc
from arena.race.checkpoints import SHUFFLED, load_bank, load_detector
from arena.race.phases.detectors import LoopReals, loop_images, train_anew, with_replay
from arena.race.race import Race
from arena.training.objectives import Objective
from arena.training.opponents.black_box import BlackBox, Student
from arena.training.opponents.combined import Together
from arena.training.opponents.equal_norm import Calibrated, EqualNormOpponents, calibrated, with_shuffled_labels
from arena.training.opponents.frozen import FrozenOpponents, Member, Pool
from arena.training.opponents.kernel import Kernel, KernelOpponents, MatchedTechnique, feature_map, random_features
from arena.training.opponents.live import Live, LiveOpponents
from arena.training.opponents.networks import LiveNetwork, RandomNetwork, live_network
from arena.training.opponents.opponents import Opponents

CALIBRATED = 256
"""Most fakes at which shuffled-label detectors are calibrated."""
MATCHED = 8192
"""Most reals at which features are matched. Half of them whiten."""
PREPARED = 256
"""Most images of each class by which a live head standardises its features."""
REPLAYED = 4096
"""Most earlier fakes that live detectors replay."""


def opponents(race: Race, round_index: int) -> Opponents | None:
    """Return the opponents of a response to this round. None without any."""
    if not race.attacked:
        return None
    parts: dict[str, Opponents] = {}
    if isinstance(race.objective, Kernel) and race.matched:
        fakes, seed = load_bank(race, round_index).validation, race.seed_of("kernel", round_index)
        parts["features"] = matched(race, race.objective, fakes, seed, round_index)
    if race.logits is not None:
        parts["detectors"] = of_logits(race, race.logits, round_index)
    return Together(parts) if len(parts) > 1 else next(iter(parts.values()))


def of_logits(race: Race, objective: Objective, round_index: int) -> Opponents:
    """Return the opponents that pull by their logits: live detectors, frozen ones, or the control of these."""
    if isinstance(race.pool, Live):
        fakes = with_replay(race, load_bank(race, round_index).train, round_index)
        return live(race, race.pool, objective, fakes, race.seed_of("live", round_index), round_index)
    attack = frozen(race, race.pool, objective, round_index)
    return attack if race.access.labels == "true" else equal_norm(race, attack, round_index)


def matched(race: Race, rules: Kernel, fakes: Tensor, seed: int, round_index: int | None = None) -> KernelOpponents:
    """Return the techniques whose features are known, with the attacker's reals.

    Published features are those of the technique. Of a network they are those of its detector in the loop, and no real
    that trained this detector is matched. Random critics match features behind random filters.

    Args:
        race: of the response.
        rules: how they pull.
        fakes: uint8 (N, C, H, W) of the round.
        seed: of their streams.
        round_index: of the response. None before the race, to time them with new networks.
    """
    known = reals_of_attacker(race)
    seen, every, unseen = (
        Gallery(images, race.evidence, race.machine.device).images(torch.arange(len(images)))
        for images in (
            fakes,
            at_most(torch.cat([known.train, known.validation]), MATCHED),
            at_most(torch.cat([known.unseen, known.validation]), MATCHED),
        )
    )
    techniques = dict[str, MatchedTechnique]()
    for technique in race.matched:
        own = derive_seed(seed, "technique", player=technique)
        fitted = isinstance(race.examples_of[technique], FittedDetector)
        random = race.access.critics == "random"
        if random:
            features = random_features(race.data.channels, own, race.machine.device)
        elif fitted or round_index is None:
            features = feature_map(race.new_detector(technique, 0).to(race.machine.device))
        else:
            features = feature_map(load_detector(race, technique, round_index))
        reals = every if fitted or random else unseen
        techniques[technique] = MatchedTechnique(
            features, reals[::2], reals[1::2], seen, rules, race.schedule.batch, own
        )
    return KernelOpponents(rules, techniques)


def at_most(images: Tensor, most: int) -> Tensor:
    """Return images evenly spread over all, no more than ``most``."""
    return images[:: -(-len(images) // most)]


def live(
    race: Race, rules: Live, objective: Objective, fakes: Tensor, seed: int, round_index: int | None = None
) -> LiveOpponents:
    """Return live opponents.

    The first network of a technique that learns by gradient, and whose gradients are known, continues from its detector
    in the loop. All others are new. Techniques that only answer queries have students.

    Args:
        race: of the response.
        rules: how they learn and pull.
        objective: of their logits.
        fakes: uint8 (N, C, H, W) of this and earlier rounds, some of which are replayed.
        seed: of their streams.
        round_index: of the response. None before the race, to time them with new networks alone.
    """
    device, reals = race.machine.device, reals_of_attacker(race)
    rng = torch.Generator().manual_seed(derive_seed(seed, "replayed"))
    some = fakes[torch.randperm(len(fakes), generator=rng)[:REPLAYED]]
    learned, validation, replayed = (
        Gallery(images, race.evidence, device) for images in (reals.train, reals.validation, some)
    )
    both = torch.cat([each.images(torch.arange(min(PREPARED, len(each)))) for each in (learned, replayed)])
    boxes = black_boxes(race, round_index)

    def new(technique: str, seed: int) -> LiveNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "network"))
            if race.access.critics == "random":
                return RandomNetwork(race.data.channels)
            if technique in boxes:
                return Student(boxes[technique], channels=race.data.channels, side=race.seen_shape["resolution"])
            return live_network(race.new_detector(technique, seed, round_index))

    def first(technique: str) -> LiveNetwork:
        learns = isinstance(race.examples_of.get(technique), LearnedDetector)
        if learns and race.access_to(technique) == "gradients" and round_index is not None:
            return live_network(load_detector(race, technique, round_index))
        network = new(technique, derive_seed(seed, "first", player=technique)).to(device)
        network.prepare(both, rng)
        return network

    return LiveOpponents(
        rules=rules,
        objective=objective,
        weighting=race.weighting,
        new=new,
        continued={technique: first(technique) for technique in race.attacked},
        black_boxes=boxes,
        reals=learned,
        validation=validation,
        replayed=replayed.seen,
        batch=race.schedule.batch,
        seed=seed,
    )


class AttackerReals(NamedTuple):
    """Reals that live opponents learn from, and others that measure them: uint8 (N, C, H, W) each.

    Args:
        train: all but ``validation``.
        unseen: those of ``train`` that trained no detector whose gradients are known.
        validation: reals that trained no detector in the loop and train no live one.
    """

    train: Tensor
    unseen: Tensor
    validation: Tensor


def reals_of_attacker(race: Race) -> AttackerReals:
    """Return all reals that the attacker has: generator-train, and those of the detectors whose gradients it has.

    Generator-train is its own in any case. Live detectors that learn from few reals know these by heart, and their pull
    is then of little use (``experiments/attacks``). Random critics have as many. No judge real is among them.
    """
    detectors_known = "gradients" in {race.attack_on(technique) for technique in race.attacked}
    loop = LoopReals.of_part(race, race.access.reals if detectors_known else "generator")
    own = race.data.part("generator").without(loop.validation)
    unseen, further = own.without(loop.train) if detectors_known else own, loop.train.without(own)
    return AttackerReals(torch.cat([own.images, further.images]), unseen.images, loop.validation.images)


def black_boxes(race: Race, round_index: int | None) -> dict[str, BlackBox]:
    """Return the detectors in the loop of which only answers are known, by technique.

    Args:
        race: of the response.
        round_index: whose detectors answer. None for a new detector, to time them.
    """
    levels = {technique: race.access_to(technique) for technique in race.attacked}
    if not {"labels", "scores"} & set(levels.values()):
        return {}
    reals = LoopReals.of(race).validation.images
    fakes = reals if round_index is None else load_bank(race, round_index).validation
    gallery, n = Gallery(torch.cat([reals, fakes]), race.evidence, race.machine.device), min(len(reals), len(fakes))
    known = gallery.images(torch.cat([torch.arange(n), len(reals) + torch.arange(n)]))
    return {
        technique: BlackBox(answering(race, technique, round_index), level, known, race.access.queries, race.evidence)
        for technique, level in levels.items()
        if level in ("labels", "scores")
    }


def answering(race: Race, technique: str, round_index: int | None) -> Callable[[Tensor], Tensor]:
    """Return a frozen detector in the loop, or the stack, as a function: images (B, C, H, W) -> logits (B,)."""
    names = [*race.members] if technique == STACK else [technique]
    detectors = [
        race.new_detector(name, 0) if round_index is None else load_detector(race, name, round_index) for name in names
    ]
    for detector in detectors:
        detector.to(race.machine.device).eval().requires_grad_(False)
    if technique != STACK:
        return detectors[0]
    assert race.stack is not None
    stack = race.stack(members=len(detectors))
    if round_index is not None:
        load_module(stack, race.layout.detector(round_index, STACK))
    stack.to(race.machine.device)
    return lambda images: stack(torch.stack([detector(images).float() for detector in detectors], dim=1))


def frozen(race: Race, pool: Pool, objective: Objective, round_index: int) -> FrozenOpponents:
    """Return the frozen detectors of the pool, with their logits of reals that they did not learn from."""
    members = pool.members(race.attacked, round_index)
    detectors = {member: load_detector(race, member.technique, member.round) for member in members}
    reals = LoopReals.of(race).validation.images  # they stopped the detectors, and trained none
    real_logits = {
        member: score(detector, reals, race.evidence).to(race.machine.device) for member, detector in detectors.items()
    }
    mixture = equilibrium_of_loop(race, detectors, round_index) if pool.memory == "mixture" else None
    return FrozenOpponents(detectors, real_logits, pool, objective, mixture)


def equilibrium_of_loop(race: Race, detectors: Mapping[Member, Detector], round_index: int) -> dict[Member, float]:
    """Return the probability of each detector among those of its technique, at the equilibrium of the game so far.

    The generators of all rounds so far minimise the AUC, and the detectors of the technique maximise it. It is measured
    on images of the loop that trained no detector: no judge real takes part.
    """
    reals = LoopReals.of(race).validation.images
    banks = [load_bank(race, past).validation for past in range(round_index + 1)]
    gallery = Gallery(torch.cat([reals, *banks]), race.evidence, race.machine.device)
    sizes = [len(reals), *(len(bank) for bank in banks)]
    aucs = dict[Member, list[float]]()
    for member, detector in detectors.items():
        real, *fakes = (part.numpy() for part in score_all({"": detector}, gallery)[""].split(sizes))
        aucs[member] = [auc(np.concatenate([real, fake]), np.repeat([0, 1], [len(real), len(fake)])) for fake in fakes]
    mixture = dict[Member, float]()
    for technique in {member.technique: None for member in detectors}:
        members = [member for member in detectors if member.technique == technique]
        solved = equilibrium(np.array([aucs[member] for member in members]).T)
        mixture |= dict(zip(members, solved.detectors.tolist(), strict=True))
    return mixture


def equal_norm(race: Race, attack: FrozenOpponents, round_index: int) -> EqualNormOpponents:
    """Return the control of an attack, by shuffled-label detectors in place of the attacked ones.

    Those of this round are trained here. All are calibrated on validation fakes of this round.
    """
    train_shuffled(race, round_index)
    fakes, reals = load_bank(race, round_index).validation[:CALIBRATED], LoopReals.of(race).validation.images
    seen = Gallery(fakes, race.evidence, race.machine.device).images(torch.arange(len(fakes)))
    controls, real_logits = dict[Member, Calibrated](), dict[Member, Tensor]()
    for member, true in attack.detectors.items():
        detector = load_detector(race, f"{member.technique}.{SHUFFLED}", member.round)
        controls[member] = calibrated(detector.eval().requires_grad_(False), true, seen)
        real_logits[member] = controls[member].forward(score(detector, reals, race.evidence).to(race.machine.device))
    return EqualNormOpponents(attack, controls, real_logits)


def shuffled_detectors(race: Race, round_index: int) -> dict[str, Path]:
    """Return the place of the detector with shuffled labels of each attacked technique. Few attackers train them."""
    return {name: race.layout.detector(round_index, f"{name}.{SHUFFLED}") for name in race.attacked}


def train_shuffled(race: Race, round_index: int) -> None:
    """Train a new detector of each attacked technique on the images of a round's retraining, with shuffled labels.

    It has the budget of a detector in the loop, and is kept beside that detector.
    """
    paths = shuffled_detectors(race, round_index)
    if all(path.exists() for path in paths.values()):
        return
    gallery, train, validation = loop_images(race, round_index)
    seed = race.seed_of("shuffled", round_index)
    train = with_shuffled_labels(train, derive_seed(seed, "train"))
    validation = with_shuffled_labels(validation, derive_seed(seed, "validation"))
    detectors = train_anew(race, paths, (gallery, train, validation), seed, round_index)
    for name, path in paths.items():
        save_module(detectors[name], path)
