"""Attack fakes that judges learn from, so that they expect attacks.

The attack is on other, fixed detectors, as in ensemble adversarial training (Tramèr et al. 2018).
Neither the generator nor these detectors depend on it.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arena.core.errors import require
from arena.race.checkpoints import load_detector
from arena.race.race import Race
from arena.training.perturbation import perturbed

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

    def attack(fakes: Tensor, player: str) -> Tensor:
        return perturbed(
            fakes,
            detectors,
            race.evidence,
            levels=race.data.levels,
            bound=race.judge.hardened_levels,
            steps=race.judge.hardened_steps,
            seed=race.seed_of("harden", round_index, player),
            device=race.machine.device,
        )

    return attack


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
