"""The study: every artefact, every amplitude its searches ask for, one stream of fresh judges each."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

from rich.console import Console

from arena.core.errors import ArenaError
from arena.core.files import write_atomically
from arena.core.progress import Progress
from arena.generators.artefacts import Artefact, check
from arena.generators.base import TrainableGenerator
from arena.generators.controls import Planted
from arena.metrics.auc import summarise
from arena.race.judging import Case, judge_case
from arena.race.layout import Bank
from arena.race.race import Race
from arena.studies.sensitivity.search import CAUGHT, Search

OCTAVES = 2
"""The largest amplitude: the data's levels, halved so many times."""
DIGITS = 4
"""Of an AUC."""
COLUMNS = ("artefact", "amplitude", "technique", "auc", "low", "high")


class Measurement(NamedTuple):
    """One line of the study: what a technique's fresh judges reached at an amplitude in grey levels."""

    artefact: str
    amplitude: int
    technique: str
    auc: float
    low: float
    high: float


def artefacts(race: Race) -> list[Artefact]:
    """Those that can be planted in the arena's images."""
    possible: list[Artefact] = []
    for kind in get_args(Artefact):
        try:
            check(kind, 1, race.data.levels, race.data.resolution)
        except ArenaError:
            continue
        possible.append(kind)
    return possible


def largest(race: Race) -> int:
    """The largest amplitude there is, in grey levels of the arena's data."""
    return race.data.levels >> OCTAVES


def study(race: Race, path: Path, console: Console) -> dict[str, Search]:
    """Search for every limit; what is measured is kept in a CSV, from which an interrupted study goes on.

    Args:
        arena: data, battery and budgets of the judges.
        path: of the CSV.
        console: is told of every amplitude.

    Raises:
        ArenaError: for a generator that would have to be trained, or a file that holds no measurements.
    """
    if isinstance(race.new_generator(), TrainableGenerator):
        raise ArenaError("generator: expected oracle, as a study plants its artefacts in reals and trains no generator")
    race = replace(race, stack=None, bag=None)  # limits are each technique's own
    lines = list(read(path)) if path.is_file() else []
    kinds, start = artefacts(race), int(race.data.planted_amplitude)
    searches: dict[str, Search] = {kind: Search([*race.members], largest(race), start) for kind in kinds}
    for line in lines:
        if line.artefact not in searches:
            raise ArenaError(f"{path}: expected one of {', '.join(searches)}, found {line.artefact}")
        searches[line.artefact].record(line.amplitude, {line.technique: line.auc})
    for kind in kinds:
        search = searches[kind]
        while (asked := search.next()) is not None:
            found = _judge(race, kind, *asked)
            search.record(asked[0], {line.technique: line.auc for line in found})
            lines += found
            write(path, lines)
            caught = sum(line.auc >= CAUGHT for line in found)
            console.print(f"{kind} at {asked[0]}: {caught} of {len(found)} techniques catch it", highlight=False)
    return searches


def _judge(race: Race, kind: Artefact, amplitude: int, techniques: list[str]) -> list[Measurement]:
    planted = Planted(**race.shape, kind=kind, amplitude=amplitude)
    forged = planted.forge(race.bank.counts, race.seed_of("sensitivity"), race.generator_reals)
    case = Case.of(race, Bank.of(forged, race.data.levels), round_index=0, control=True)
    quiet = Progress(Console(quiet=True), [], 0.0)
    seed = race.seed_of("sensitivity", player=f"{kind}/{amplitude}")
    judgements = judge_case(race, quiet, case, techniques, seed, 0, share=1.0)
    lines = []
    for technique in techniques:
        its = summarise(judgements.of[technique].test, race.margin)
        # Rounded as it is kept: a study that goes on from the file must search as one that never stopped.
        auc, low, high = (round(value, DIGITS) for value in (its.auc, its.auc_low, its.auc_high))
        lines.append(Measurement(kind, amplitude, technique, auc, low, high))
    return lines


def read(path: Path) -> Iterator[Measurement]:
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
                yield Measurement(artefact, int(amplitude), technique, float(auc), float(low), float(high))
            except ValueError as error:
                raise ArenaError(f"{path}: line {number}: expected {','.join(COLUMNS)}") from error


def write(path: Path, lines: list[Measurement]) -> None:
    """All lines, whole or not at all."""
    rows = [",".join(COLUMNS), *(",".join(map(_cell, line)) for line in lines)]
    write_atomically(path, ("\n".join(rows) + "\n").encode())


def _cell(value: object) -> str:
    return f"{value:.{DIGITS}f}" if isinstance(value, float) else str(value)
