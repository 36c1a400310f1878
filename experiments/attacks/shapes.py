"""Check that attacks behave as others found: on frozen detectors, on answers alone, with and without memory.

    python experiments/attacks/shapes.py measure OUT [key=value ...] [--seeds 0 1 2] [--only last all]
    python experiments/attacks/shapes.py show OUT

Responses are short, 20,000 images, and only the detectors in the loop are tested: no judge. ``measure`` continues where
it was killed. ``show`` reads the records of OUT/runs, prints a table, and draws OUT/memory.png and OUT/memory.pdf.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev

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

ROUNDS = 5
"""Responses of the conditions that compare memories."""
COMMON = ("schedule.response_images=20000", "bank.test=3000")
FROZEN = ("access=white_box", "pool=last", "objective=fool", "objective.weight=0.1")
"""The classical attack, three times as heavy as in a race, so that it can be told from none within 312 steps.

At a weight of 1 the generator collapses and is rolled back to where it began.
"""
TECHNIQUES = ("cnn", "dct", "spectrum")
SHORT: dict[str, tuple[str, ...]] = {
    "none": ("access=none",),
    "white box, frozen": FROZEN,
    **{
        f"white box, frozen, {told} alone": (*FROZEN, f"access.held_out=[{','.join(set(TECHNIQUES) - {told})}]")
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


def run(condition: str, seed: int, out: Path, overrides: Sequence[str]) -> None:
    """Carry out what is left of one race."""
    rounds = ROUNDS if condition in MEMORIES else 1
    own = MEMORIES.get(condition) or SHORT[condition]
    settings = [f"seed={seed}", f"data.seed={seed}", f"race.rounds={rounds}", *COMMON, *own, *overrides]
    race = race_from(settings, folder_of(out, condition, seed))
    run_phases(race, RecordBook(race.run), list(steps(rounds)), Progress())
    print(f"{condition}, seed {seed}", flush=True)


def aucs(folder: Path) -> dict[tuple[str, int, int], float]:
    """Return the AUC of each technique by round of the fakes and of the detector."""
    scored = [record for record in read_records(folder) if isinstance(record, ScoreRecord)]
    return {(each.technique, each.generator_round, each.detector_round): each.auc for each in scored}


def runs_of(out: Path, condition: str) -> list[dict[tuple[str, int, int], float]]:
    """Return the AUC of all finished runs of a condition, in the order of seeds."""
    last = ROUNDS if condition in MEMORIES else 1
    found = [aucs(folder) for folder in sorted(folder_of(out, condition, 0).parent.glob("*"))]
    return [each for each in found if any(at[1:] == (last, last) for at in each)]


def in_words(values: Sequence[float]) -> str:
    """Return the mean with the standard deviation over seeds."""
    return f"{fmean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def responses(out: Path) -> str:
    """Return the table of single responses: detectors as they were given, at the fakes before and after, and retrained.

    The detectors are those of round 0, which the response was given.
    """
    stages = {"before": (0, 0), "after": (1, 0), "retrained": (1, 1)}
    names = (*TECHNIQUES, "forest", "stack")
    lines = [
        "| condition | " + " | ".join(f"{name} {stage}" for name in names for stage in stages) + " | seeds |",
        "|---|" + "---|" * (len(names) * len(stages) + 1),
    ]
    for condition in SHORT:
        runs = runs_of(out, condition)
        if runs:
            cells = [in_words([of[(name, *at)] for of in runs]) for name in names for at in stages.values()]
            lines.append(f"| {condition} | {' | '.join(cells)} | {len(runs)} |")
    return "\n".join(lines)


def memories(out: Path) -> Figure:
    """Draw the AUC of the detectors of each past round at the fakes of the last, a panel for each technique."""
    with look():
        figure = Figure(figsize=(2.3 * len(TECHNIQUES), 2.4), layout="constrained")
        panels = figure.subplots(1, len(TECHNIQUES), sharey=True)
        for axes, name in zip(panels, TECHNIQUES, strict=True):
            chance_band(axes, 0.05)
            for number, (memory, mark) in enumerate(zip(MEMORIES, HIGHLIGHTS, strict=False)):
                runs = runs_of(out, memory)
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
        print(responses(arguments.out))
        save(memories(arguments.out), arguments.out / "memory")
    else:
        for seed in arguments.seeds:
            for condition in arguments.only or [*SHORT, *MEMORIES]:
                run(condition, seed, arguments.out, arguments.overrides)


if __name__ == "__main__":
    main()
