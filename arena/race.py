"""The race, as an algorithm."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from arena.answer.finished import read_run
from arena.answer.verdict import Verdict, verdict
from arena.arena import Arena
from arena.budget import foresee
from arena.figures.draw import draw_all
from arena.phases import calibrate, confront, forge, judge, margin, measure, respond, retrain, warm_up
from arena.phases.calibrate import controls
from arena.phases.judge import judges
from arena.phases.phase import Director, Phase
from arena.progress import Progress, duration
from arena.report.page import write_report

GENERATOR, BATTERY = "generator", "battery"
Step = tuple[Phase, int, str]


def race(arena: Arena) -> Iterator[Step]:
    """The phases of a race in their order, each with its round and its player.

    Alternating responses of a generator and of its external detectors (cf. policy-space response oracles, Lanctot et
    al. 2017), with fresh judges that no generator ever learned from. Step 6, record, ends every phase.
    """
    yield warm_up, 0, GENERATOR
    for control in controls(arena):
        yield calibrate, 0, control
    for r in range(arena.rounds + 1):
        yield forge, r, GENERATOR  # 1 the banks of fakes of G_r
        if r:
            yield confront, r, BATTERY  # 2 G_r's fakes before earlier detectors: "frozen"
        yield retrain, r, BATTERY  # 3 from where they stood, old fakes replayed: "retrained"
        for seed in judges(arena):
            yield judge, r, seed  # 4 from scratch, never attacked: "fresh"
        if r == arena.rounds:
            for degradation in arena.judge.degradations:
                yield margin, r, degradation  # where the AUC is pinned: how far from the edge?
        yield measure, r, GENERATOR  # 5 quality, variety, memorisation
        if r < arena.rounds:
            yield respond, r, GENERATOR  # 7 G_r becomes G_{r+1} against the pool it may know


def run_race(arena: Arena, console: Console) -> Verdict:
    """Carry out a race, or what is left of one, and answer.

    Raises:
        ArenaError: where the GAN diverges. What cannot work at all, ``arena.build`` has refused.
    """
    if not is_done(arena):
        carry_out(arena, console)
    return answer(arena.run)


def is_done(arena: Arena) -> bool:
    """Whether the records of this race close every one of its phases."""
    return all(Director.done_in(arena.run, race(arena)))


def carry_out(arena: Arena, console: Console) -> None:
    """Carry out every phase that is not done: the left wing's work, which ends with the records.

    Raises:
        ArenaError: where the GAN diverges.
    """
    steps = list(race(arena))
    for technique, reason in arena.left_out.items():
        console.print(f"left out: {technique} {reason}", highlight=False, soft_wrap=True)
    forecast = foresee(arena)
    console.print(
        f"{arena.rounds} rounds, {len(steps)} phases, at most about {duration(forecast.seconds)} and "
        f"{forecast.disk_mib:,.0f} MiB in {arena.run} ({arena.machine.device}, {arena.machine.precision})",
        highlight=False,
        soft_wrap=True,
    )
    kinds = [(phase.__name__, player) for phase, _, player in steps]
    with Progress(console, kinds, forecast.seconds) as progress:
        director = Director(arena, progress)
        for step in steps:
            director(*step)


def answer(run: Path) -> Verdict:
    """Read the verdict from what was written, and write it, the figures and the report beside the records."""
    found = verdict([read_run(run)])
    found.write(run)
    draw_all(run, run / "figures")
    write_report(run)
    return found
