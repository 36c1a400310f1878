"""Check that attacks behave as others found: on frozen detectors, on answers alone, with and without memory.

    python experiments/attacks/shapes.py measure OUT [key=value ...] [--seeds 0 1 2] [--only last all]
    python experiments/attacks/shapes.py show OUT

Responses are short, 20,000 images, and only the detectors in the loop are tested: no judge. ``measure`` continues where
it was killed, and keeps the AUCs of finished races in OUT/shapes.csv. ``show`` reads these, prints a table, and draws
OUT/memory.png and OUT/memory.pdf.
"""

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator
from measure import folder_of

from arena.core.progress import Progress
from arena.figures.axes import bars, chance_band, look, save
from arena.figures.marks import HIGHLIGHTS
from arena.metrics.interval import Interval
from arena.race.build import race_from
from arena.race.loop import run_phases
from arena.race.phases.detectors import confront, retrain
from arena.race.phases.fakes import forge
from arena.race.phases.generator import respond, warm_up
from arena.race.processes import Step
from arena.records.schema import ScoreRecord
from arena.records.store import RecordBook, read_records

KEPT = "shapes.csv"
"""Condition, seed, technique, round of the fakes, round of the detector and AUC, a row each."""
ROUNDS = 5
"""Responses of the conditions that compare memories."""
COMMON = ("schedule.response_images=20000", "bank.test=3000", "resampling=none")
FROZEN = ("access=white_box", "pool=last", "objective=fool", "objective.weight=0.1")
"""The classical attack, three times as heavy as in a race, so that it can be told from none within 312 steps.

At a weight of 1 the generator collapses and is rolled back to where it began.
"""
TECHNIQUES = ("cnn", "dct", "spectrum")
SHORT: dict[str, tuple[str, ...]] = {
    "none": ("access=none",),
    "white box, frozen": FROZEN,
    **{
        f"white box, frozen, {told} alone": (
            *FROZEN,
            f"access.held_out=[{','.join(name for name in TECHNIQUES if name != told)}]",
        )
        for told in TECHNIQUES
    },
    "white box, live": ("access=white_box", "pool=live", "objective=relative"),
    "scores, live students": ("access=scores", "pool=live", "objective=relative"),
    "labels, live students": ("access=labels", "pool=live", "objective=relative"),
}
"""Conditions of one response."""
MEMORIES: dict[str, tuple[str, ...]] = {
    "last": FROZEN,
    "all": (*FROZEN, "pool=all"),
}
"""Conditions of ``ROUNDS`` responses."""


def steps(rounds: int) -> Iterator[Step]:
    """Yield the phases of a race without judges."""
    yield Step(warm_up, 0, "generator")
    yield Step(forge, 0, "generator")
    yield Step(retrain, 0, "battery")
    for index in range(rounds):
        yield Step(respond, index, "generator")
        yield Step(forge, index + 1, "generator")
        yield Step(confront, index + 1, "battery")
        yield Step(retrain, index + 1, "battery")


class Tested(NamedTuple):
    """The AUC of a technique's detector, retrained in one round, at the fakes of a round that is no earlier."""

    condition: str
    seed: int
    technique: str
    generator_round: int
    detector_round: int
    auc: float


def run(condition: str, seed: int, out: Path, overrides: Sequence[str]) -> list[Tested]:
    """Carry out what is left of one race, and return its AUCs."""
    rounds = ROUNDS if condition in MEMORIES else 1
    own = MEMORIES.get(condition) or SHORT[condition]
    settings = [f"seed={seed}", f"data.seed={seed}", f"race.rounds={rounds}", *COMMON, *own, *overrides]
    race = race_from(settings, folder_of(out, condition, seed))
    run_phases(race, RecordBook(race.run), list(steps(rounds)), Progress())
    return [
        Tested(condition, seed, score.technique, score.generator_round, score.detector_round, score.auc)
        for score in read_records(race.run)
        if isinstance(score, ScoreRecord)
    ]


def measure_all(out: Path, seeds: Sequence[int], only: Sequence[str], overrides: Sequence[str]) -> None:
    """Measure every condition and seed that is not kept yet."""
    out.mkdir(parents=True, exist_ok=True)
    kept = {(each.condition, each.seed) for each in tested(out)}
    for seed in seeds:
        for condition in only or [*SHORT, *MEMORIES]:
            if (condition, seed) not in kept:
                rows = run(condition, seed, out, overrides)
                with io.StringIO() as lines, (out / KEPT).open("a", encoding="utf-8", newline="") as file:
                    csv.writer(lines, lineterminator="\n").writerows(rows)
                    file.write(lines.getvalue())  # at once, so that a kill leaves all of a run or none
                print(f"{condition}, seed {seed}", flush=True)


def tested(out: Path) -> list[Tested]:
    """Return all AUCs that are kept."""
    if not (out / KEPT).is_file():
        return []
    with (out / KEPT).open(encoding="utf-8", newline="") as file:
        return [
            Tested(condition, int(seed), technique, int(fakes), int(detector), float(auc))
            for condition, seed, technique, fakes, detector, auc in csv.reader(file)
        ]


def runs_of(rows: Sequence[Tested], condition: str) -> list[dict[tuple[str, int, int], float]]:
    """Return the AUCs of each run of a condition by technique and rounds of fakes and detector, in order of seeds."""
    runs: dict[int, dict[tuple[str, int, int], float]] = {}
    for row in rows:
        if row.condition == condition:
            runs.setdefault(row.seed, {})[row.technique, row.generator_round, row.detector_round] = row.auc
    return [runs[seed] for seed in sorted(runs)]


def in_words(values: Sequence[float]) -> str:
    """Return the mean with the standard deviation over seeds."""
    return f"{fmean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def responses(rows: Sequence[Tested]) -> str:
    """Return the table of single responses, with two AUCs a cell: of the detectors it was given, and these retrained.

    All conditions share the warm-up and the detectors that learned from its fakes. The first row has these.
    """
    names = (*TECHNIQUES, "forest", "stack")
    lines = [f"| condition | {' | '.join(names)} | seeds |", "|---|" + "---|" * (len(names) + 1)]
    if begun := runs_of(rows, "none"):
        cells = [in_words([of[name, 0, 0] for of in begun]) for name in names]
        lines.append(f"| before the response | {' | '.join(cells)} | {len(begun)} |")
    for condition in SHORT:
        runs = runs_of(rows, condition)
        if runs:
            given, retrained = (
                [in_words([of[name, 1, detector] for of in runs]) for name in names] for detector in (0, 1)
            )
            cells = [f"{one}, {other}" for one, other in zip(given, retrained, strict=True)]
            lines.append(f"| {condition} | {' | '.join(cells)} | {len(runs)} |")
    return "\n".join(lines)


def memories(rows: Sequence[Tested]) -> Figure:
    """Draw the AUC of the detectors of each past round at the fakes of the last, a panel for each technique."""
    with look():
        figure = Figure(figsize=(2.3 * len(TECHNIQUES), 2.4), layout="constrained")
        panels = figure.subplots(1, len(TECHNIQUES), sharey=True)
        for axes, name in zip(panels, TECHNIQUES, strict=True):
            chance_band(axes, 0.05)
            for number, (memory, mark) in enumerate(zip(MEMORIES, HIGHLIGHTS, strict=False)):
                runs = runs_of(rows, memory)
                seen = [[of[(name, ROUNDS, past)] for of in runs] for past in range(ROUNDS + 1)] if runs else []
                places = [past + 0.1 * (number - 0.5) for past in range(len(seen))]
                means = [fmean(values) for values in seen]
                axes.add_line(mark.line(places, means, linewidth=1.0))
                ranges = [Interval(mean, min(each), max(each)) for mean, each in zip(means, seen, strict=True)]
                if ranges:
                    bars(axes, places, ranges, mark.colour)
            axes.set_title(name)
            axes.set_xlabel("round of the detector")
            axes.xaxis.set_major_locator(FixedLocator(range(ROUNDS + 1)))
            axes.set_xlim(-0.4, ROUNDS + 0.4)
            axes.set_ylim(-0.03, 1.03)
        panels[0].set_ylabel(f"AUC at the fakes of round {ROUNDS}")
        panels[0].legend(
            handles=[mark.line(label=f"pool={memory}") for memory, mark in zip(MEMORIES, HIGHLIGHTS, strict=False)]
        )
    return figure


def main() -> None:
    """Measure, or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("out", type=Path)
    measuring.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    measuring.add_argument("--only", nargs="+", default=[], choices=[*SHORT, *MEMORIES], metavar="CONDITION")
    measuring.add_argument("overrides", nargs="*")
    commands.add_parser("show").add_argument("out", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "show":
        rows = tested(arguments.out)
        print(responses(rows))
        save(memories(rows), arguments.out / "memory")
    else:
        measure_all(arguments.out, arguments.seeds, arguments.only, arguments.overrides)


if __name__ == "__main__":
    main()
