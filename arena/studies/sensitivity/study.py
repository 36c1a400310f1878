"""Run the sensitivity study: fresh judges for every artefact and every amplitude that the searches need."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

from rich.console import Console

from arena.core.errors import ArenaError
from arena.core.files import write_atomically
from arena.figures.axes import png
from arena.figures.tables import write_table
from arena.generators.base import TrainableGenerator
from arena.generators.controls import Artefact, Planted
from arena.metrics.auc import summarise
from arena.race.build import race_from
from arena.race.case import Case, redealt
from arena.race.checkpoints import Bank
from arena.race.judging import judge_case
from arena.race.race import Race
from arena.studies.resumable import ResumableCsv
from arena.studies.sensitivity.figure import sensitivity
from arena.studies.sensitivity.search import CAUGHT, Search, sharpest_first

OCTAVES = 2
"""Octaves from the grey levels of the data down to the largest amplitude."""
DIGITS = 4
"""Decimals of an AUC."""


class Measurement(NamedTuple):
    """AUC of the fresh judges of a technique at an amplitude in grey levels: a line of the study's file."""

    artefact: str
    amplitude: int
    technique: str
    auc: float
    low: float
    high: float


Judge = Callable[[Race, Artefact, int, list[str]], list[Measurement]]
"""Measures techniques at an amplitude of an artefact."""


def sensitivity_study(out: Path, overrides: Sequence[str], console: Console) -> None:
    """Search for all limits, and write ``measurements.csv``, the table and the figure to a folder.

    Raises:
        ArenaError: for overrides that no race can be built with, or a folder that holds a study with others.
    """
    start = time.monotonic()
    race = race_from(["experiment=sensitivity", *overrides], out)  # its config.yaml refuses other settings
    for technique, reason in race.left_out.items():
        console.print(f"left out: {technique} {reason}", highlight=False)
    searches = search_limits(race, out / "measurements.csv", console)
    limits = {name: {kind: search.limit(name) for kind, search in searches.items()} for name in race.members}
    limits = sharpest_first(limits, largest(race))
    own = {name: detector.artefact for name, detector in race.examples_of.items()}
    kinds = next(iter(limits.values()))
    table = [["technique", *kinds], *([name, *map(str, row.values())] for name, row in limits.items())]
    write_table(table, out / "sensitivity")
    write_atomically(out / "sensitivity.png", png(sensitivity(limits, own, largest(race))))
    console.print(f"{(time.monotonic() - start) / 3600:.2f} hours; wrote {out}", highlight=False)


def artefacts(race: Race) -> list[Artefact]:
    """Return the artefacts that can be planted in the images of a race."""
    possible: list[Artefact] = []
    for kind in get_args(Artefact):
        try:
            Planted(**race.shape, kind=kind, amplitude=1)
        except ArenaError:
            continue
        possible.append(kind)
    return possible


def largest(race: Race) -> int:
    """Return the largest amplitude of the study, in grey levels of the data."""
    return race.data.levels >> OCTAVES


def measure(race: Race, kind: Artefact, amplitude: int, techniques: list[str]) -> list[Measurement]:
    """Plant an artefact in reals, train fresh judges on them, and return the AUC of each technique."""
    planted = Planted(**race.shape, kind=kind, amplitude=amplitude)
    forged = planted.forge(race.bank.counts, race.seed_of("sensitivity"), race.generator_reals)
    bank = Bank.of(forged, race.data.levels)
    case = Case.of(race, bank.test, redealt(race, bank, [0]), round_index=0, control=True)
    seed = race.seed_of("sensitivity", player=f"{kind}/{amplitude}")
    (judgements,), _ = judge_case(race, case, techniques, seed, [0], images=race.judge.images)
    lines = []
    for technique in techniques:
        summary = summarise(judgements[technique].test, race.margin)
        # Rounded as in the file, so that a continued study searches as an uninterrupted one does.
        auc, low, high = (round(value, DIGITS) for value in (summary.auc, summary.auc_low, summary.auc_high))
        lines.append(Measurement(kind, amplitude, technique, auc, low, high))
    return lines


def search_limits(race: Race, path: Path, console: Console, judge: Judge = measure) -> dict[str, Search]:
    """Search for the limit of every technique and artefact. Measurements in the CSV are not repeated.

    Args:
        race: data, battery and budgets of the judges.
        path: CSV of the measurements.
        console: output for one line per amplitude.
        judge: measures the techniques at an amplitude.

    Returns:
        The search of each artefact.

    Raises:
        ArenaError: for a trainable generator, or a file that holds no measurements.
    """
    if isinstance(race.new_generator(), TrainableGenerator):
        raise ArenaError("generator: expected oracle, as a study plants its artefacts in reals and trains no generator")
    race = replace(race, stack=None, bag=None)  # limits of single techniques
    study = ResumableCsv(path, Measurement, f".{DIGITS}f")
    kinds, start = artefacts(race), int(race.data.planted_amplitude)
    searches: dict[str, Search] = {kind: Search([*race.members], largest(race), start) for kind in kinds}
    for line in study.lines:
        if line.artefact not in searches:
            raise ArenaError(f"{path}: expected one of {', '.join(searches)}, found {line.artefact}")
        searches[line.artefact].record(line.amplitude, {line.technique: line.auc})
    for kind in kinds:
        search = searches[kind]
        while (step := search.next()) is not None:
            amplitude, techniques = step
            lines = judge(race, kind, amplitude, techniques)
            search.record(amplitude, {line.technique: line.auc for line in lines})
            study.add(lines)
            caught = sum(line.auc >= CAUGHT for line in lines)
            console.print(f"{kind} at {amplitude}: {caught} of {len(lines)} techniques catch it", highlight=False)
    return searches
