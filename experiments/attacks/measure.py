"""Measure what a response to the detectors is worth: fresh AUC after one response, by condition and seed.

    python experiments/attacks/measure.py OUT [key=value ...] [--seeds 1 2 3] [--only live kernel]

Every condition starts from the same warm-up and has the same images. Only the phases that the numbers need are run. The
judges have one budget and are not compared with half of it. This is therefore no verdict. It continues where it was
killed, and keeps one line a condition and seed in OUT/measured.jsonl, which ``show.py`` reads.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev

from arena.core.progress import Progress
from arena.race.build import race_from
from arena.race.loop import run_phases
from arena.race.phases.detectors import confront, retrain
from arena.race.phases.fakes import forge, measure
from arena.race.phases.generator import respond, warm_up
from arena.race.phases.judges import judge, judge_players
from arena.race.processes import Step
from arena.race.race import Race
from arena.records.schema import PhaseRecord, QualityRecord, ScoreRecord, Spent, TrainingRecord
from arena.records.store import RecordBook, read_records

IMAGES = 140_000
COMMON = (
    "race.rounds=1",
    f"schedule.response_images={IMAGES}",
    "judge.images=40000",
    "judge.multiples=[]",
    "judge.more_seeds=0",
    "bank.test=3000",
    "trainer.precision=bf16",  # on every machine, since responses of two precisions are not compared
)
LIVE = ("access=everything", "pool=live", "objective=relative")
LIVE_AND_KERNEL = ("access=everything", "pool=live", "objective=relative_kernel")
RANDOM = ("access=random", "pool=live", "objective=relative")
RANDOM_AND_KERNEL = ("access=random", "pool=live", "objective=relative_kernel")
HELD_OUT = ("forest", "cnn", "dct")
"""Technique that the last condition is not told of, by the seed modulo 3."""
LIVE_COSTS = 1.5
"""Multiply-accumulates of a response to live opponents, in those of ``none``: 1.44 times, and 1.54 with features."""
CONDITIONS: dict[str, tuple[str, ...]] = {
    "none": ("access=none",),
    "none, equal compute": ("access=none", f"schedule.response_images={round(LIVE_COSTS * IMAGES)}"),
    "random": RANDOM,
    "random and kernel": RANDOM_AND_KERNEL,
    "fool": ("access=white_box", "pool=all", "objective=fool"),
    "match": ("access=white_box", "pool=all", "objective=match"),
    "live": LIVE,
    "live, no penalties": (*LIVE, "pool.gamma=0", "pool.gamma_features=0"),
    "live, not renewed": (*LIVE, "pool.renew_images=null"),
    "kernel": ("access=everything", "pool=all", "objective=kernel"),
    "live and kernel": LIVE_AND_KERNEL,
    "live and kernel, selected": (*LIVE_AND_KERNEL, "selection=branches"),
    "live, resampled": LIVE,
    "random, resampled": RANDOM,
    "other reals, live": ("access=other_reals", "pool=live", "objective=relative"),
    "live and kernel, one held out": LIVE_AND_KERNEL,
}


@dataclass(frozen=True)
class Measured:
    """One response.

    Args:
        condition: key of ``CONDITIONS``.
        seed: of the race and of its data split.
        precision: of training.
        held_out: technique that the generator was not told of, empty for none.
        fresh: technique -> mean AUC of the fresh judges.
        error: technique -> standard error of it: of the images, and of the spread of the judges.
        frozen: technique -> AUC of the detector of the loop that the response was given.
        live: technique -> AUC of its live detectors at the end of the response, for responses to live detectors.
        quality: kernel distance, recall and memorisation.
        cost: multiply-accumulates of the response and of what resamples its fakes, in those of 10^12, seconds, detector
            updates and queries.
    """

    condition: str
    seed: int
    precision: str
    held_out: str
    fresh: dict[str, float]
    error: dict[str, float]
    frozen: dict[str, float]
    live: dict[str, float]
    quality: dict[str, float]
    cost: dict[str, float]


def steps(race: Race) -> Iterator[Step]:
    """Yield the phases of one response and of its judges."""
    yield Step(warm_up, 0, "generator")
    yield Step(forge, 0, "generator")
    yield Step(retrain, 0, "battery")
    yield Step(respond, 0, "generator")
    yield Step(forge, 1, "generator")
    yield Step(confront, 1, "battery")
    yield Step(judge, 1, judge_players(race, 1)[0])
    yield Step(measure, 1, "generator")


def folder_of(out: Path, condition: str, seed: int) -> Path:
    """Return the folder of a run."""
    return out / "runs" / condition.replace(",", "").replace(" ", "_") / str(seed)


def run(condition: str, seed: int, out: Path, overrides: list[str]) -> Measured:
    """Carry out one response, and return its numbers."""
    held_out = HELD_OUT[seed % 3] if condition.endswith("one held out") else ""
    own = [f"access.held_out=[{held_out}]"] if held_out else []
    own += [f"resampling={'probes' if condition.endswith('resampled') else 'none'}"]
    folder = folder_of(out, condition, seed)
    settings = [f"seed={seed}", f"data.seed={seed}", *COMMON, *CONDITIONS[condition], *own, *overrides]
    race = race_from(settings, folder)
    run_phases(race, RecordBook(race.run), list(steps(race)), Progress())
    return read(condition, seed, held_out, folder)


def read(condition: str, seed: int, held_out: str, folder: Path) -> Measured:
    """Return the numbers of a run from its records."""
    fresh: dict[str, list[ScoreRecord]] = {}
    frozen, live, quality = dict[str, float](), dict[str, float](), dict[str, float]()
    spent, seconds, precision = Spent(), 0.0, ""
    for record in read_records(folder):
        if isinstance(record, ScoreRecord) and record.generator_round == 1:
            if record.regime == "fresh":
                fresh.setdefault(record.technique, []).append(record)
            elif record.regime == "frozen":
                frozen[record.technique] = record.auc
        elif isinstance(record, TrainingRecord):  # the last one stands at the end
            aucs = {name: value for name, value in record.opponents.items() if name.endswith("_auc")}
            live = {name.removesuffix("_auc"): value for name, value in aucs.items()}
        elif isinstance(record, QualityRecord) and record.round == 1:
            names = ("kernel_distance", "kernel_distance_error", "recall", "memorisation")
            quality = {name: getattr(record, name) for name in names}
        elif isinstance(record, PhaseRecord) and (record.phase, record.round) in (("respond", 0), ("forge", 1)):
            spent, seconds, precision = spent + record, seconds + record.seconds, record.precision
    means = {name: fmean(each.auc for each in tests) for name, tests in fresh.items()}
    errors = {}
    for name, tests in fresh.items():
        of_images = fmean(each.auc_high - each.auc_low for each in tests) / 3.92
        errors[name] = (of_images**2 + stdev(each.auc for each in tests) ** 2 / len(tests)) ** 0.5
    cost = {
        "tera_macs": spent.multiply_accumulates / 1e12,
        "seconds": seconds,
        "detector_updates": spent.detector_updates,
        "queries": spent.queries,
    }
    return Measured(condition, seed, precision, held_out, means, errors, frozen, live, quality, cost)


def measure_all(out: Path, seeds: list[int], only: list[str], overrides: list[str]) -> None:
    """Measure every condition and seed that has no line yet, seed by seed."""
    kept = out / "measured.jsonl"
    out.mkdir(parents=True, exist_ok=True)
    done = {(each.condition, each.seed) for each in measured(out)}
    for seed in seeds:
        for condition in only or CONDITIONS:
            if (condition, seed) not in done:
                line = json.dumps(asdict(run(condition, seed, out, overrides)))
                with kept.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
                print(line, flush=True)


def measured(out: Path) -> list[Measured]:
    """Return all lines."""
    kept = out / "measured.jsonl"
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.is_file() else []
    return [Measured(**json.loads(line)) for line in lines]


def main() -> None:
    """Measure what has not been measured yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", default=[], choices=list(CONDITIONS), metavar="CONDITION")
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    measure_all(arguments.out, arguments.seeds, arguments.only, arguments.overrides)


if __name__ == "__main__":
    main()
