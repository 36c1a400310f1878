"""The study: every artefact, every amplitude its searches ask for, one stream of fresh judges each."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

from rich.console import Console

from arena.arena import Arena
from arena.bank import Bank
from arena.errors import ArenaError
from arena.generators.artefacts import Artefact, check
from arena.generators.controls import Planted
from arena.generators.generator import TrainableGenerator
from arena.metrics.roc import summarise
from arena.phases.case import Case
from arena.phases.crossfit import judge_case
from arena.progress import Progress
from arena.records import write_atomically
from arena.sensitivity.search import CAUGHT, Search

OCTAVES = 2
"""The largest amplitude: the data's levels, halved so many times."""
DIGITS = 4
"""Of an AUC."""
COLUMNS = ("artefact", "amplitude", "technique", "auc", "low", "high")


class Measured(NamedTuple):
    """One line of the study: what a technique's fresh judges reached at an amplitude in grey levels."""

    artefact: str
    amplitude: int
    technique: str
    auc: float
    low: float
    high: float


def artefacts(arena: Arena) -> list[Artefact]:
    """Those that can be planted in the arena's images."""
    possible: list[Artefact] = []
    for kind in get_args(Artefact):
        try:
            check(kind, 1, arena.data.levels, arena.data.resolution)
        except ArenaError:
            continue
        possible.append(kind)
    return possible


def largest(arena: Arena) -> int:
    """The largest amplitude there is, in grey levels of the arena's data."""
    return arena.data.levels >> OCTAVES


def study(arena: Arena, path: Path, console: Console) -> dict[str, Search]:
    """Search for every limit; what is measured is kept in a CSV, from which an interrupted study goes on.

    Args:
        arena: data, battery and budgets of the judges.
        path: of the CSV.
        console: is told of every amplitude.

    Raises:
        ArenaError: for a generator that would have to be trained, or a file that holds no measurements.
    """
    if isinstance(arena.new_generator(), TrainableGenerator):
        raise ArenaError("generator: expected oracle, as a study plants its artefacts in reals and trains no generator")
    arena = replace(arena, stack=None, bag=None)  # limits are each technique's own
    lines = list(read(path)) if path.is_file() else []
    kinds, start = artefacts(arena), int(arena.data.planted_amplitude)
    searches: dict[str, Search] = {kind: Search([*arena.members], largest(arena), start) for kind in kinds}
    for line in lines:
        if line.artefact not in searches:
            raise ArenaError(f"{path}: expected one of {', '.join(searches)}, found {line.artefact}")
        searches[line.artefact].record(line.amplitude, {line.technique: line.auc})
    for kind in kinds:
        search = searches[kind]
        while (asked := search.next()) is not None:
            found = _judge(arena, kind, *asked)
            search.record(asked[0], {line.technique: line.auc for line in found})
            lines += found
            write(path, lines)
            caught = sum(line.auc >= CAUGHT for line in found)
            console.print(f"{kind} at {asked[0]}: {caught} of {len(found)} techniques catch it", highlight=False)
    return searches


def _judge(arena: Arena, kind: Artefact, amplitude: int, techniques: list[str]) -> list[Measured]:
    planted = Planted(**arena.shape, kind=kind, amplitude=amplitude)
    forged = planted.forge(arena.bank.counts, arena.seed_of("sensitivity"), arena.generator_reals)
    case = Case.of(arena, Bank.of(forged, arena.data.levels), round=0, control=True)
    quiet = Progress(Console(quiet=True), [], 0.0)
    seed = arena.seed_of("sensitivity", player=f"{kind}/{amplitude}")
    judgements = judge_case(arena, quiet, case, techniques, seed, 0, share=1.0)
    lines = []
    for technique in techniques:
        its = summarise(judgements.of[technique].test, arena.margin)
        # Rounded as it is kept: a study that goes on from the file must search as one that never stopped.
        auc, low, high = (round(value, DIGITS) for value in (its.auc, its.auc_low, its.auc_high))
        lines.append(Measured(kind, amplitude, technique, auc, low, high))
    return lines


def read(path: Path) -> Iterator[Measured]:
    """The lines of a study.

    Raises:
        ArenaError: where the file is none.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        if tuple(next(reader, ())) != COLUMNS:
            raise ArenaError(f"{path}: expected the measurements of a sensitivity study, {','.join(COLUMNS)}")
        for number, row in enumerate(reader, start=2):
            try:
                artefact, amplitude, technique, auc, low, high = row
                yield Measured(artefact, int(amplitude), technique, float(auc), float(low), float(high))
            except ValueError as error:
                raise ArenaError(f"{path}: line {number}: expected {','.join(COLUMNS)}") from error


def write(path: Path, lines: list[Measured]) -> None:
    """All lines, whole or not at all."""
    rows = [",".join(COLUMNS), *(",".join(map(_cell, line)) for line in lines)]
    write_atomically(path, ("\n".join(rows) + "\n").encode())


def _cell(value: object) -> str:
    return f"{value:.{DIGITS}f}" if isinstance(value, float) else str(value)
