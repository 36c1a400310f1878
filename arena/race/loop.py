"""Run a race: the algorithm, its phases one after the other, and the answer from their records."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import torch
from rich.console import Console

from arena.answer.answer import Answer, read_answer
from arena.answer.power import MOST, power, reals_needed
from arena.core.errors import ArenaError
from arena.core.interruption import raise_if_interrupted
from arena.core.machine import at_once
from arena.core.progress import Progress, duration
from arena.race.forecast import mib_of_race, seconds_of_race
from arena.race.phases.calibrate import EQUAL_N, calibrate, controls
from arena.race.phases.detectors import confront, retrain
from arena.race.phases.fakes import forge, measure
from arena.race.phases.generator import respond, warm_up
from arena.race.phases.judges import judge, judge_players, margin
from arena.race.processes import (
    ClosedPhase,
    SecondProcess,
    Step,
    has_second,
    reads_records,
    run_phase,
    threads_of_phases,
)
from arena.race.race import Race
from arena.records.integrity import damaged_files, files_by_phase
from arena.records.schema import PhaseKey, PhaseRecord, Record
from arena.records.store import RecordBook
from arena.report.outcome import outdated, write_outcome

GENERATOR, BATTERY = "generator", "battery"
POWER = 0.8
"""Probability of a pass, for a perfect generator, below which the console names the reals that would reach it."""


def algorithm(race: Race) -> Iterator[Step]:
    """Yield the phases of a race in their order, each with its round and its player.

    A generator and its external detectors respond to each other in turn (cf. policy-space response oracles, Lanctot et
    al. 2017). Fresh judges test every round, and no generator has their gradients. Step 6, record, ends every phase.
    """
    yield Step(warm_up, 0, GENERATOR)
    hardened = race.judge.hardened > 0
    if not hardened:
        yield from calibration(race)
    for r in range(race.rounds + 1):
        yield Step(forge, r, GENERATOR)  # 1 the banks of fakes of G_r
        if r:
            yield Step(confront, r, BATTERY)  # 2 G_r's fakes before earlier detectors: "frozen"
        yield Step(retrain, r, BATTERY)  # 3 from where they stood, old fakes replayed: "retrained"
        if hardened and r == 0:
            yield from calibration(race)  # the judges of controls are hardened too, by the first detectors in the loop
        for player in judge_players(race, r):
            yield Step(judge, r, player)  # 4 from scratch, never attacked: "fresh"
        if r == race.rounds:
            for degradation in race.judge.degradations:
                yield Step(margin, r, degradation)  # where validation AUC is near 1: what hides the fakes?
        yield Step(measure, r, GENERATOR)  # 5 quality, variety, memorisation
        if r < race.rounds:
            yield Step(respond, r, GENERATOR)  # 7 G_r becomes G_{r+1} against the pool it may know


def calibration(race: Race) -> Iterator[Step]:
    """Yield the phases that judge controls."""
    for control in controls(race):
        yield Step(calibrate, 0, control)


def run_race(race: Race, console: Console) -> Answer:
    """Carry out the phases of a race that are left, and write verdict, figures and report beside the records.

    Those of a finished race are left alone where they are as its records have them, and made again otherwise.

    Raises:
        ArenaError: if the GAN diverges. Impossible settings were refused by ``arena.race.build``.
    """
    carry_out(race, console)
    answer = read_answer(race.run)
    if outdated(race.run):
        write_outcome(answer)
    return answer


def is_finished(race: Race, book: RecordBook | None = None) -> bool:
    """Return whether the records close every phase of the race, with no file damaged. Without a book they are read."""
    book = RecordBook(race.run) if book is None else book
    return all(book.closed(step.key) for step in algorithm(race)) and not damaged_files(race.run, book.records)


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
    beside = any(runs_beside(race, step) for step in steps)
    seconds = seconds_of_race(race, beside)
    console.print(
        f"{race.rounds} rounds, {len(steps)} phases, about {duration(seconds)} and at most "
        f"{mib_of_race(race):,.0f} MiB in {race.run} ({race.machine.device}, {race.machine.precision})",
        highlight=False,
        soft_wrap=True,
    )
    console.print(power_in_words(race), highlight=False, soft_wrap=True)
    kinds = [(phase.__name__, player) for phase, _, player in steps]
    with Progress(console, kinds, seconds) as progress:
        run_phases(race, book, steps, progress)


def power_in_words(race: Race) -> str:
    """Return the probability with which a perfect generator would pass, and the reals that would do where it is low."""
    fakes = race.bank.test
    if race.finite:
        fakes = len(race.new_generator().forge(race.bank.counts, race.seed_of("forge"), race.generator_reals)["test"])
    terms = {"fakes": fakes, "techniques": len(race.techniques), "margin": race.margin, "alpha": race.alpha}
    probability = power(reals=len(race.judge_reals), **terms)
    said = f"a perfect generator would pass with probability {probability:.2f}"
    if probability >= POWER:
        return said
    wanted = reals_needed(POWER, **terms)
    enough = f"{wanted:,} judge reals" if wanted < MOST else "more fakes"
    here = f"here {len(race.judge_reals):,} reals and {fakes:,} fakes test"
    return f"{said}; {POWER:g} takes {enough} or a larger answer.margin ({here})"


def run_phases(race: Race, book: RecordBook, steps: Sequence[Step], progress: Progress) -> None:
    """Carry out phases. A phase is done once its records are appended, and is then skipped.

    A phase of which a file is missing or damaged is done again, and has to come out as it was recorded.

    On a processor with several threads, phases that may run beside the generator do so in a second process. Records are
    appended in the order of the phases in either case. A kill therefore loses the phases that wait for an earlier one.
    Records are the same, up to the floating-point order of operations that torch divides among threads.
    """
    for line in book.damage:
        progress.say(f"{line}. The phase is run again.")
    damaged, left = remove_damaged(race, book, steps, progress), list[Step]()
    for step in steps:
        if (closed := book.closed(step.key)) is not None and step.key not in damaged:
            progress.skip(step.phase.__name__, step.player, closed.seconds)
        else:
            left.append(step)
    after = {step: [other.key for other in steps[number + 1 :]] for number, step in enumerate(steps)}
    beside = [step for step in left if runs_beside(race, step)]
    waiting: deque[tuple[Step, Future[ClosedPhase]]] = deque()

    def append_first() -> None:
        """Append the records of the first waiting phase, as soon as it has ended."""
        step, future = waiting.popleft()
        outcome = future.result()
        check_repair(race, book.of_phase(step.key), [*outcome.records, outcome.closing])
        book.append([*outcome.records, outcome.closing], after[step])
        race.tracker.records(book.records)
        if step in beside:
            progress.beside(step.phase.__name__, step.round_index, step.player, outcome.closing.seconds)

    def append_all() -> None:
        """Append the records of all waiting phases, in order."""
        while waiting:
            append_first()

    uses = [uses_second(race, step) for step in left]
    with at_once(torch.get_num_threads()), threads_of_phases(race), ExitStack() as stack:
        second = stack.enter_context(SecondProcess(race)) if any(uses) else None
        for number, step in enumerate(left):
            raise_if_interrupted()
            if second is not None and not any(uses[number:]):
                append_all()
                stack.close()
                second = None
            if second is not None and step in beside:
                waiting.append((step, second.submit(partial(run_phase, step=step))))
                continue
            if reads_records(step.phase):
                append_all()
            future: Future[ClosedPhase] = Future()
            with progress.phase(step.phase.__name__, step.round_index, step.player):
                records = book.records_without([step.key, *after[step]])
                future.set_result(run_phase(race, step, records, progress, second))
            waiting.append((step, future))
            while waiting and waiting[0][1].done():
                append_first()
        append_all()


def remove_damaged(race: Race, book: RecordBook, steps: Sequence[Step], progress: Progress) -> set[PhaseKey]:
    """Remove files of some phases that are not as the records have them, and return these phases."""
    damaged, made = set(damaged_files(race.run, book.records)), files_by_phase(book.records)
    phases = {step.key for step in steps if damaged & made.get(step.key, set())}
    for name in sorted(name for key in phases for name in damaged & made[key]):
        progress.say(f"{race.run / name}: damaged or missing. The phase that made it is run again.")
        (race.run / name).unlink(missing_ok=True)
    return phases


def check_repair(race: Race, before: Sequence[Record], again: Sequence[Record]) -> None:
    """Compare the records of a phase that was done again with the earlier ones. Time and memory may differ.

    Raises:
        ArenaError: if it came out differently, so that later phases do not follow from it any more.
    """
    if before and [_outcome(record) for record in before] != [_outcome(record) for record in again]:
        closing = again[-1]
        assert isinstance(closing, PhaseRecord)
        raise ArenaError(
            f"{race.run}: {closing.phase} of round {closing.round} was run again, since a file of it was damaged, and "
            "came out differently: expected the machine, threads and versions of the first time. Race again elsewhere"
        )


def _outcome(record: Record) -> Record:
    """Return a record without what differs between two runs of one phase."""
    if not isinstance(record, PhaseRecord):
        return record
    return replace(record, seconds=0.0, peak_memory_mib=0.0, device="", sha256="")


def runs_beside(race: Race, step: Step) -> bool:
    """Return whether a phase runs in a second process, while the generator trains on.

    No generator depends on fresh judges, on controls or on the scores of detectors as they were. The judges of the
    last round have nothing to run beside.
    """
    return has_second(race) and step.round_index < race.rounds and step.phase in (calibrate, confront, judge)


def uses_second(race: Race, step: Step) -> bool:
    """Return whether a phase runs in the second process, or lets it train half of the judges of the last round."""
    return runs_beside(race, step) or (has_second(race) and step.phase is judge and step.player != EQUAL_N)
