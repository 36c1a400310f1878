"""Attack fakes that judges learn from, so that they expect attacks.

The attack is on other, fixed detectors, as in ensemble adversarial training (Tramèr et al. 2018). A part of the fakes
is changed by a network that learned to, the others by descent on each image. Neither the generator nor these detectors
depend on it.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arena.core.errors import require
from arena.core.seeding import derive_seed
from arena.core.tensors import load_module, save_module
from arena.detectors.base import Detector
from arena.generators.launder import BoundedChange
from arena.race.checkpoints import load_bank, load_detector
from arena.race.race import Race
from arena.training.laundering import laundered, laundering_network, new_network
from arena.training.perturbation import perturbed

LAUNDERING = "laundering"
"""Name of the file of a network that changes fakes, beside those of the detectors."""
Attack = Callable[[Tensor, str], Tensor]
"""Takes fakes uint8 (N, C, H, W) and the name of the stream. Returns them changed towards "real"."""


def attackers(race: Race) -> list[str]:
    """Return the techniques whose detectors in the loop have a gradient. The generator's access does not matter."""
    return [technique for technique, example in race.examples_of.items() if example.differentiable]


def attack_of(race: Race, round_index: int) -> Attack:
    """Return the attack on the detectors in the loop as ``retrain`` left them in a round.

    These learned from reals of the loop alone, and nothing that judges do reaches them.

    Raises:
        ArenaError: if no detector was trained, as in a study without a race.
    """
    techniques = attackers(race)
    trained = all(race.layout.detector(round_index, technique).exists() for technique in techniques)
    require(trained, "judge.hardened", race.judge.hardened, "0 where no detector in the loop was trained")
    detectors = [load_detector(race, technique, round_index) for technique in techniques]
    judge = race.judge
    network = network_of(race, detectors, round_index) if judge.hardened_laundered else None

    def attack(fakes: Tensor, player: str) -> Tensor:
        seed, changed = race.seed_of("harden", round_index, player), fakes.clone()
        by_network = torch.from_numpy(spread(len(fakes), judge.hardened_laundered))
        if network is not None:
            changed[by_network] = laundered(fakes[by_network], network, derive_seed(seed, "launder"))
        changed[~by_network] = perturbed(
            fakes[~by_network],
            detectors,
            race.evidence,
            levels=race.data.levels,
            bound=judge.hardened_levels,
            steps=judge.hardened_steps,
            seed=seed,
            device=race.machine.device,
        )
        return changed

    return attack


def network_of(race: Race, detectors: Sequence[Detector], round_index: int) -> BoundedChange:
    """Return the network that changes fakes of a round. It learned from the training fakes of that round's bank.

    All judges of the round have one network, which is kept beside the detectors in the loop.
    """
    levels, bound = race.data.levels, race.judge.hardened_levels
    path = race.layout.detector(round_index, f"{LAUNDERING}.{bound}")
    if path.exists():
        network = new_network(race.data.channels, levels, bound)
        load_module(network, path)
        return network.to(race.machine.device)
    network = laundering_network(
        load_bank(race, round_index).train,
        detectors,
        race.evidence,
        levels=levels,
        bound=bound,
        seed=race.seed_of("launder", round_index),
        device=race.machine.device,
    )
    save_module(network, path)
    return network


def spread(count: int, share: float) -> NDArray[np.bool_]:
    """Return which of some items make up a share of them, evenly spread: bool (count,).

    The first k items have share * k of them, for every k, rounded to the nearest whole number, and halves up.

    >>> spread(6, 0.5).tolist()
    [True, False, True, False, True, False]
    """
    return np.diff(np.floor(share * np.arange(count + 1) + 0.5)) > 0


def partly(attack: Attack, fakes: Tensor, share: float, player: str) -> Tensor:
    """Return fakes uint8 (N, C, H, W) of which an evenly spread share is attacked, each in its place."""
    chosen, changed = torch.from_numpy(spread(len(fakes), share)), fakes.clone()
    changed[chosen] = attack(fakes[chosen], player)
    return changed
