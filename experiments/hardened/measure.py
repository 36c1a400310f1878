"""Compare hardened judges with usual ones: on a generator's fakes, and on the same fakes attacked image by image."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from arena.core.progress import Progress
from arena.metrics.auc import auc
from arena.race.build import race_from
from arena.race.case import Case, fakes_of_judges
from arena.race.checkpoints import load_bank
from arena.race.hardening import attack_of
from arena.race.judging import judge_cases
from arena.race.loop import BATTERY, GENERATOR, run_phases
from arena.race.phases.detectors import retrain
from arena.race.phases.fakes import forge
from arena.race.phases.generator import respond, warm_up
from arena.race.processes import Step
from arena.race.race import Race
from arena.records.schema import Scores
from arena.records.store import RecordBook

SMALL = (
    "race.rounds=1",
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
SHARE, LEVELS, SEEDS = 0.5, (1, 2), range(2)
ATTACKED_BY = 2
"""Grey levels of the data by which test fakes are attacked, whatever judges learned from."""


def mean_auc(scores: Scores) -> float:
    """Mean AUC over folds."""
    folds = [scores.take(scores.fold == number) for number in np.unique(scores.fold)]
    return float(np.mean([auc(part.score, part.label) for part in folds]))


def compared(race: Race) -> Iterator[str]:
    """Yield lines of the table: seed, what judges learned from, the test fakes, and each technique's AUC by judge."""
    bank, judges = load_bank(race, 1), race.judge
    by_image = replace(race, judge=replace(judges, hardened_levels=ATTACKED_BY))
    attacked = attack_of(by_image, 1)(bank.test, "measure")
    for share, levels in ((0.0, 1), *((SHARE, levels) for levels in LEVELS)):
        hard = replace(race, judge=replace(judges, hardened=share, hardened_levels=levels))
        case = Case.of(hard, bank.test, fakes_of_judges(hard, bank, 1, SEEDS), 1)
        others = [Case.of(hard, attacked, [], 1)]
        seed, images = race.seed_of("judge", 1), judges.images
        judged, _ = judge_cases(hard, case, others, list(race.members), seed, SEEDS, images=images)
        for name, of_seeds in zip(("the generator's", "attacked"), judged, strict=True):
            cells = [", ".join(f"{mean_auc(each[key].test):.3f}" for each in of_seeds) for key in of_seeds[0]]
            learned = f"hardened by {levels}" if share else "usual"
            yield f"| {race.seed} | {learned} | {name} | " + " | ".join(cells) + " |"


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
