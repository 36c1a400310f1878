"""Measure how well live detectors learn fakes that stand still, by their reals and their penalties.

    python experiments/attacks/stationary.py OUT [key=value ...]

The fakes are those of one response to live opponents (seed 0). The generator learns nothing more. A fresh judge of
``cnn`` reads AUC 0.87 on such fakes. Live detectors that stay far below it pull towards little of use. AUCs are those
that the opponents measure themselves: reals that none of them learned from, fakes of the step, smoothed.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from measure import COMMON, LIVE, folder_of, steps

from arena.core.progress import Progress
from arena.detectors.gallery import Gallery
from arena.race.build import race_from
from arena.race.checkpoints import load_bank
from arena.race.loop import run_phases
from arena.race.opponents import live
from arena.race.phases.detectors import LoopReals
from arena.race.race import Race
from arena.records.store import RecordBook
from arena.training.opponents.live import Live

FORGED = 5
"""Phases of ``measure.steps`` until the fakes of the response are forged."""
STEPS, LOOKS = 1200, 2
"""Steps of the opponents, each with two detectors a technique at alternate steps, and lines printed."""
GAMMAS = (0.0, 0.0003, 0.003)
"""Weights of the penalties of networks. Those of networks on features are a third of them."""


def learned(race: Race, rules: Live, reals: torch.Tensor | None) -> list[dict[str, float]]:
    """Return the AUC of each technique's live detectors at ``LOOKS`` times.

    Args:
        race: whose fakes are learned.
        rules: of the opponents.
        reals: uint8 (N, C, H, W) to learn from. None for all of the attacker's.
    """
    assert race.logits is not None
    bank = load_bank(race, 1).train
    opponents = live(race, rules, race.logits, bank, seed=0, round_index=0)
    if reals is not None:
        opponents.reals = Gallery(reals, race.evidence, race.machine.device)
    fakes, rng = Gallery(bank, race.evidence, race.machine.device), torch.Generator().manual_seed(0)
    seen = []
    for step in range(STEPS):
        images = fakes.images(torch.randint(len(fakes), (race.schedule.batch,), generator=rng))
        opponents.pull(images, torch.ones_like(images), torch.Generator().manual_seed(step))
        if (step + 1) % (STEPS // LOOKS) == 0:
            seen.append({name.removesuffix("_auc"): float(value) for name, value in opponents.figures().items()})
    return seen


def main() -> None:
    """Carry out the response, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_args()
    settings = ["seed=0", "data.seed=0", *COMMON, *LIVE, "resampling=none", *given.overrides]
    race = race_from(settings, folder_of(given.out, "live", 0))
    run_phases(race, RecordBook(race.run), list(steps(race))[:FORGED], Progress())
    loop = LoopReals.of(race).train.images
    assert isinstance(race.pool, Live)
    print("| reals | gamma | step | " + " | ".join(race.attacked) + " |")
    print("|---|---|---|" + "---|" * len(race.attacked))
    for gamma, reals, name in [*((gamma, None, "all") for gamma in GAMMAS), (GAMMAS[1], loop, f"{len(loop)}")]:
        rules = replace(race.pool, gamma=gamma, gamma_features=gamma / 3, renew_images=None)
        for number, aucs in enumerate(learned(race, rules, reals), 1):
            cells = " | ".join(f"{aucs[technique]:.2f}" for technique in race.attacked)
            print(f"| {name} | {gamma:g} | {number * STEPS // LOOKS} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
