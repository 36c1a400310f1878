"""Run a race: the algorithm, its phases one after the other, and the answer from their records."""

import inspect
import time
from collections.abc import Callable, Iterable, Iterator

import torch
from rich.console import Console

from arena.answer.answer import Answer, read_answer
from arena.core.machine import peak_memory_mib
from arena.core.progress import Progress, duration
from arena.figures.draw import draw_all
from arena.race.forecast import estimate_cost
from arena.race.phases.calibrate import calibrate, controls
from arena.race.phases.detectors import confront, retrain
from arena.race.phases.fakes import forge, measure
from arena.race.phases.generator import respond, warm_up
from arena.race.phases.judges import budgets, judge, margin
from arena.race.race import PhaseOutput, Race
from arena.records.schema import PhaseRecord
from arena.records.store import RecordBook
from arena.report.page import write_report

GENERATOR, BATTERY = "generator", "battery"
Phase = Callable[..., PhaseOutput]
"""A function that takes what it uses, by name, of ``race``, ``round_index``, ``player``, ``records`` and ``progress``.

``records`` are those of the phases before. A phase reads them and the files of the run, and no other state. It does the
same whether the phases before ran in this process or in one that was killed.
"""
Step = tuple[Phase, int, str]
"""A phase, its round and its player."""


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
        for budget in budgets(race, r):
            yield judge, r, budget  # 4 from scratch, never attacked: "fresh"
        if r == race.rounds:
            for degradation in race.judge.degradations:
                yield margin, r, degradation  # where the AUC is pinned: how far from the edge?
        yield measure, r, GENERATOR  # 5 quality, variety, memorisation
        if r < race.rounds:
            yield respond, r, GENERATOR  # 7 G_r becomes G_{r+1} against the pool it may know


def run_race(race: Race, console: Console) -> Answer:
    """Carry out the phases of a race that are left, and write verdict, figures and report beside the records.

    Raises:
        ArenaError: if the GAN diverges. Impossible settings were refused by ``arena.race.build``.
    """
    carry_out(race, console)
    answer = read_answer(race.run)
    answer.verdict.write(race.run)
    draw_all(race.run, race.run / "figures", answer)
    write_report(answer)
    return answer


def is_finished(race: Race, book: RecordBook | None = None) -> bool:
    """Return whether the records close every phase of the race. Without a book they are read."""
    book = RecordBook(race.run) if book is None else book
    return all(book.closed(phase.__name__, round_index, player) for phase, round_index, player in algorithm(race))


def carry_out(race: Race, console: Console) -> None:
    """Carry out every phase that is not done. Nothing is answered yet.

    Raises:
        ArenaError: if the GAN diverges.
    """
    book, steps = RecordBook(race.run), list(algorithm(race))
    if is_finished(race, book):
        return
    for technique, reason in race.left_out.items():
        console.print(f"left out: {technique} {reason}", highlight=False, soft_wrap=True)
    seconds, disk_mib = estimate_cost(race)
    console.print(
        f"{race.rounds} rounds, {len(steps)} phases, at most about {duration(seconds)} and "
        f"{disk_mib:,.0f} MiB in {race.run} ({race.machine.device}, {race.machine.precision})",
        highlight=False,
        soft_wrap=True,
    )
    kinds = [(phase.__name__, player) for phase, _, player in steps]
    with Progress(console, kinds, seconds) as progress:
        run_phases(race, book, steps, progress)


def run_phases(race: Race, book: RecordBook, steps: Iterable[Step], progress: Progress) -> None:
    """Carry out phases in order. A phase is done once its records are appended, and is then skipped."""
    machine = race.machine
    for phase, round_index, player in steps:
        name = phase.__name__
        if (closed := book.closed(name, round_index, player)) is not None:
            progress.skip(name, player, closed.seconds)
            continue
        if machine.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        arguments = {
            "race": race,
            "round_index": round_index,
            "player": player,
            "records": book.records,
            "progress": progress,
        }
        with progress.phase(name, round_index, player):
            output = phase(**{key: arguments[key] for key in inspect.signature(phase).parameters})
        record = PhaseRecord(
            round=round_index,
            seed=race.seed,
            phase=name,
            player=player,
            images=output.images,
            seconds=time.perf_counter() - start,
            peak_memory_mib=peak_memory_mib(machine.device.type == "cuda"),
            device=str(machine.device),
            precision=machine.precision,
        )
        book.append([*output.records, record])
        race.tracker.records(book.records)
