"""Run a race: the algorithm, and the answer from its records."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from arena.answer.answer import Answer, read_answer
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
from arena.race.runner import PhaseRunner, Step
from arena.records.store import RecordBook
from arena.report.page import write_report

GENERATOR, BATTERY = "generator", "battery"


def algorithm(race: Race) -> Iterator[Step]:
    """Yield the phases of a race in their order, each with its round and its player.

    A generator and its external detectors respond to each other in turn (cf. policy-space response oracles, Lanctot et
    al. 2017). Fresh judges test every round, and no generator has their gradients. Step 6, record, ends every phase.
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


def run_race(race: Race, console: Console) -> Answer:
    """Carry out the phases of a race that are left, and answer.

    Raises:
        ArenaError: if the GAN diverges. Impossible settings were refused by ``arena.race.build``.
    """
    if not is_finished(race):
        carry_out(race, console)
    return answer(race.run)


def is_finished(race: Race) -> bool:
    """Return whether the records close every phase of the race."""
    book = RecordBook(race.run)
    return all(book.done(phase.__name__, round_index, player) for phase, round_index, player in algorithm(race))


def carry_out(race: Race, console: Console) -> None:
    """Carry out every phase that is not done. Nothing is answered yet.

    Raises:
        ArenaError: if the GAN diverges.
    """
    steps = list(algorithm(race))
    for technique, reason in race.left_out.items():
        console.print(f"left out: {technique} {reason}", highlight=False, soft_wrap=True)
    cost = estimate_cost(race)
    console.print(
        f"{race.rounds} rounds, {len(steps)} phases, at most about {duration(cost.seconds)} and "
        f"{cost.disk_mib:,.0f} MiB in {race.run} ({race.machine.device}, {race.machine.precision})",
        highlight=False,
        soft_wrap=True,
    )
    kinds = [(phase.__name__, player) for phase, _, player in steps]
    with Progress(console, kinds, cost.seconds) as progress:
        runner = PhaseRunner(race, progress)
        for step in steps:
            runner(*step)


def answer(run: Path) -> Answer:
    """Read the answer from the records, and write verdict, figures and report beside them."""
    answer = read_answer(run)
    answer.verdict.write(run)
    draw_all(run, run / "figures", answer)
    write_report(answer)
    return answer
