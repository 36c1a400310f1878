"""The race, as an algorithm."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from arena.answer.runs import read_run
from arena.answer.verdict import Verdict, verdict
from arena.core.progress import Progress, duration
from arena.figures.draw import draw_all
from arena.race.forecast import estimate_cost
from arena.race.phases.calibrate import calibrate, controls
from arena.race.phases.confront import confront
from arena.race.phases.forge import forge
from arena.race.phases.judge import judge, judges
from arena.race.phases.margin import margin
from arena.race.phases.measure import measure
from arena.race.phases.respond import respond
from arena.race.phases.retrain import retrain
from arena.race.phases.warm_up import warm_up
from arena.race.race import Race
from arena.race.runner import Phase, PhaseRunner
from arena.report.page import write_report

GENERATOR, BATTERY = "generator", "battery"
Step = tuple[Phase, int, str]


def algorithm(race: Race) -> Iterator[Step]:
    """The phases of a race in their order, each with its round and its player.

    Alternating responses of a generator and of its external detectors (cf. policy-space response oracles, Lanctot et
    al. 2017), with fresh judges that no generator ever learned from. Step 6, record, ends every phase.
    """
    yield warm_up, 0, GENERATOR
    for control in controls(race):
        yield calibrate, 0, control
    for r in range(race.rounds + 1):
        yield forge, r, GENERATOR  # 1 the banks of fakes of G_r
        if r:
            yield confront, r, BATTERY  # 2 G_r's fakes before earlier detectors: "frozen"
        yield retrain, r, BATTERY  # 3 from where they stood, old fakes replayed: "retrained"
        for seed in judges(race):
            yield judge, r, seed  # 4 from scratch, never attacked: "fresh"
        if r == race.rounds:
            for degradation in race.judge.degradations:
                yield margin, r, degradation  # where the AUC is pinned: how far from the edge?
        yield measure, r, GENERATOR  # 5 quality, variety, memorisation
        if r < race.rounds:
            yield respond, r, GENERATOR  # 7 G_r becomes G_{r+1} against the pool it may know


def run_race(race: Race, console: Console) -> Verdict:
    """Carry out a race, or what is left of one, and answer.

    Raises:
        ArenaError: where the GAN diverges. What cannot work at all, ``arena.race.build`` has refused.
    """
    if not is_finished(race):
        carry_out(race, console)
    return answer(race.run)


def is_finished(race: Race) -> bool:
    """Whether the records of this race close every one of its phases."""
    return all(PhaseRunner.done_in(race.run, algorithm(race)))


def carry_out(race: Race, console: Console) -> None:
    """Carry out every phase that is not done: the left wing's work, which ends with the records.

    Raises:
        ArenaError: where the GAN diverges.
    """
    steps = list(algorithm(race))
    for technique, reason in race.left_out.items():
        console.print(f"left out: {technique} {reason}", highlight=False, soft_wrap=True)
    forecast = estimate_cost(race)
    console.print(
        f"{race.rounds} rounds, {len(steps)} phases, at most about {duration(forecast.seconds)} and "
        f"{forecast.disk_mib:,.0f} MiB in {race.run} ({race.machine.device}, {race.machine.precision})",
        highlight=False,
        soft_wrap=True,
    )
    kinds = [(phase.__name__, player) for phase, _, player in steps]
    with Progress(console, kinds, forecast.seconds) as progress:
        director = PhaseRunner(race, progress)
        for step in steps:
            director(*step)


def answer(run: Path) -> Verdict:
    """Read the verdict from what was written, and write it, the figures and the report beside the records."""
    found = verdict([read_run(run)])
    found.write(run)
    draw_all(run, run / "figures")
    write_report(run)
    return found
