"""Compare hardened judges with usual ones, on a generator's fakes and on the same fakes attacked in two ways."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from arena.core.progress import Progress
from arena.metrics.auc import auc
from arena.race.build import race_from
from arena.race.case import Case, fakes_of_judges
from arena.race.checkpoints import load_bank, load_detector
from arena.race.hardening import attack_of, attackers
from arena.race.judging import judge_cases
from arena.race.loop import BATTERY, GENERATOR, run_phases
from arena.race.phases.detectors import retrain
from arena.race.phases.fakes import forge
from arena.race.phases.generator import respond, warm_up
from arena.race.processes import Step
from arena.race.race import Race
from arena.records.schema import Scores
from arena.records.store import RecordBook
from arena.training.laundering import laundered, laundering_network

SMALL = (
    "race.rounds=1",
    "access=white_box",
    "pool=all",
    "objective=fool",
    "resampling=none",
    "generator.learning_rate=0.004",
    "schedule.warm_up_images=12000",
    "schedule.response_images=6000",
    "bank.train=1024",
    "bank.validation=256",
    "bank.test=1500",
    "battery.images=6000",
    "judge.images=8000",
    "judge.reals=1200",
    "judge.folds=2",
    "generator.width=16",
)
"""One response on the digits, in half a minute."""
SHARE, LEVELS, SEEDS = 0.5, 2, range(2)
"""Share of a hardened judge's training fakes that are attacked, bound of all attacks in grey levels, and judges."""
LEARNED: dict[str, tuple[float, float]] = {
    "none": (0.0, 0.0),
    "attacked": (SHARE, 0.0),
    "laundered": (SHARE, 1.0),
    "attacked and laundered": (SHARE, 0.5),
}
"""Changed fakes that judges learned from -> share that is changed, and share of these that a network changes."""


def mean_auc(scores: Scores) -> float:
    """Mean AUC over folds."""
    folds = [scores.take(scores.fold == number) for number in np.unique(scores.fold)]
    return float(np.mean([auc(part.score, part.label) for part in folds]))


def changed(race: Race, fakes: Tensor) -> dict[str, Tensor]:
    """Return test fakes as they are, attacked one by one, and changed by a network that no judge learned from."""
    by_descent = replace(race, judge=replace(race.judge, hardened_levels=LEVELS, hardened_laundered=0.0))
    network = laundering_network(
        load_bank(race, 1).train,
        [load_detector(race, technique, 1) for technique in attackers(race)],
        race.evidence,
        levels=race.data.levels,
        bound=LEVELS,
        seed=race.seed_of("measure", 1),
        device=race.machine.device,
    )
    return {
        "the generator's": fakes,
        "attacked": attack_of(by_descent, 1)(fakes, "measure"),
        "laundered": laundered(fakes, network, race.seed_of("noise", 1)),
    }


def compared(race: Race) -> Iterator[str]:
    """Yield lines of the table: seed, what judges learned from, the test fakes, and each technique's AUC by judge."""
    bank = load_bank(race, 1)
    tested = changed(race, bank.test)
    for name, (share, by_network) in LEARNED.items():
        judges = replace(race.judge, hardened=share, hardened_levels=LEVELS, hardened_laundered=by_network)
        hard = replace(race, judge=judges)
        case, *others = (
            Case.of(hard, fakes, [] if number else fakes_of_judges(hard, bank, 1, SEEDS), 1)
            for number, fakes in enumerate(tested.values())
        )
        seed, images = race.seed_of("judge", 1), judges.images
        judged, _ = judge_cases(hard, case, others, list(race.members), seed, SEEDS, images=images)
        for of_tested, of_seeds in zip(tested, judged, strict=True):
            cells = [", ".join(f"{mean_auc(each[key].test):.3f}" for each in of_seeds) for key in of_seeds[0]]
            yield f"| {race.seed} | {name} | {of_tested} | " + " | ".join(cells) + " |"


def main() -> None:
    """Race once for each seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in options.seeds:
        race = race_from([*SMALL, f"seed={seed}"], options.out / str(seed))
        steps = [Step(warm_up, 0, GENERATOR), Step(forge, 0, GENERATOR), Step(retrain, 0, BATTERY)]
        steps += [Step(respond, 0, GENERATOR), Step(forge, 1, GENERATOR), Step(retrain, 1, BATTERY)]
        run_phases(race, RecordBook(race.run), steps, Progress())
        for line in compared(race):
            print(line, flush=True)


if __name__ == "__main__":
    main()
