"""Draw every figure and table of finished runs from their records, and those that compare conditions."""

import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from arena.answer.answer import Answer, answer_of, answers
from arena.answer.axes import axes
from arena.answer.conditions import Condition, conditions
from arena.answer.frontier import frontier
from arena.answer.game import game
from arena.answer.runs import FinishedRun, declared, read_run
from arena.answer.series import read_series
from arena.config.saved import read_config
from arena.core.errors import ArenaError
from arena.figures.axes import save
from arena.figures.cross import cross, cross_table
from arena.figures.distance import bags, highlighted, margin_curves
from arena.figures.frontier import frontier_map, frontier_table
from arena.figures.images import mixing, read_mixing, read_rounds, rounds_of_images
from arena.figures.ladder import generator_of, ladder, ladder_entry
from arena.figures.limit import limit_by_resource, limit_by_round
from arena.figures.payoff import payoff_map
from arena.figures.quality import quality
from arena.figures.tables import (
    game_table,
    quality_table,
    scores_table,
    tiers_table,
    trajectories_table,
    verdict_table,
    write_table,
)
from arena.figures.timeline import timeline
from arena.figures.training import training_curves
from arena.records.schema import TrainingRecord
from arena.records.store import read_records

LONGEST = 44
"""Letters of a name that a legend has room for."""


def draw_all(run: Path, out: Path, answer: Answer | None = None) -> list[Path]:
    """Draw the figures (PNG and PDF) and tables (CSV and LaTeX) of a run, and return the files written.

    Figures of parts that the run lacks are left out, such as its images where the banks were not copied. Equal records
    give equal files.

    Args:
        run: the run directory.
        out: output directory, made if missing.
        answer: of the run. None while it is under way.

    Raises:
        ArenaError: if ``run`` is no run directory, or a file of it cannot be read.
    """
    records = read_records(run)
    margin = declared(read_config(run)).answer.margin
    series = answer.series if answer else read_series(run, records)
    figures = {"timeline": timeline(series, margin), "payoff": payoff_map(records, series)}
    if trained := [record for record in records if isinstance(record, TrainingRecord)]:
        figures["training"] = training_curves(trained)
    if rows := read_rounds(run):
        figures["rounds"] = rounds_of_images(rows)
    if grid := read_mixing(run):
        figures["mixing"] = mixing(grid)
    tables = {"scores": scores_table(series)}
    if measured := quality_table(records):
        tables["quality"] = measured
    if games := answer.games if answer else game(run, records):
        tables["game"] = game_table(games)
    if answer is not None:
        tables["verdict"] = verdict_table(answer.verdict)
        tables["tiers"] = tiers_table(answer.tiers)
        figures |= _answer_figures(answer, margin)
    written = [path for name, figure in figures.items() for path in save(figure, out / name)]
    return written + [path for name, table in tables.items() for path in write_table(table, out / name)]


def _answer_figures(answer: Answer, margin: float) -> dict[str, Figure]:
    figures = {}
    if answer.trajectory.steps:
        figures["quality"] = quality([answer.trajectory])
    if answer.limits:
        figures["limit"] = limit_by_round(answer.limits, margin)
    distances, names = answer.distances, highlighted(answer.verdict)
    if any(distance.bags for distance in distances):
        figures["bags"] = bags(distances, names)
    if any(distance.margins for distance in distances):
        figures["margins"] = margin_curves(distances, names)
    return figures


def draw_runs(places: Sequence[Path], out: Path) -> Iterator[Path]:
    """Draw every figure and table of several runs, then those that compare the conditions of the finished ones.

    Of several runs, those that cannot be read are named on stderr and passed over.

    Args:
        places: run directories, or folders that hold run directories at any depth.
        out: output directory. Each of several runs gets a folder of its own.

    Yields:
        The files, as they are written.

    Raises:
        ArenaError: if the only run is no run directory, or cannot be read.
    """
    runs = [run.resolve() for place in places for run in _run_directories(place)]
    common = runs[0] if len(runs) == 1 else Path(os.path.commonpath(runs))
    finished: dict[Path, FinishedRun] = {}
    for run in runs:
        try:
            finished[run] = read_run(run)
        except ArenaError as error:
            if len(runs) == 1 and (run / "verdict.json").is_file():
                raise
            if len(runs) > 1:
                print(f"not compared: {error}", file=sys.stderr)
    groups = conditions(finished.values()) if len(runs) > 1 else []
    for run in runs:
        try:
            answer = answer_of([finished[run]]) if run in finished else None
            yield from draw_all(run, out / run.relative_to(common), answer)
        except ArenaError as error:
            if len(runs) == 1:
                raise
            print(f"not drawn: {error}", file=sys.stderr)
    yield from compare(answers(groups), out)


def compare(compared: Sequence[Answer], out: Path) -> list[Path]:
    """Draw quality against detectability, the frontier, cross matrices, limits, curves along a resource, and a ladder.

    A limit is drawn of each condition with a matched control among the answers, or with several runs. A ladder is drawn
    where conditions of one access have different generators.
    """
    if not compared:
        return []
    written = []
    names = short_names([answer.condition for answer in compared])
    named = [dataclasses.replace(each.trajectory, name=name) for name, each in zip(names, compared, strict=True)]
    if trajectories := [trajectory for trajectory in named if trajectory.steps]:
        written += save(quality(trajectories), out / "quality")
        written += write_table(trajectories_table(trajectories), out / "comparison")
    table = [["name", "condition", "runs"]]
    table += [[name, each.condition.name, str(len(each.runs))] for name, each in zip(names, compared, strict=True)]
    written += write_table(table, out / "conditions")
    written += _frontiers(compared, names, out)
    crossed = [each for each in compared if each.cross]
    for number, answer in enumerate(crossed, 1):
        name = "cross" if len(crossed) == 1 else f"cross_{number}"
        written += save(cross(answer.cross), out / name)
        written += write_table(cross_table(answer.cross), out / name)
    limited = [each for each in compared if each.controls or (len(each.runs) > 1 and not each.condition.control)]
    for number, answer in enumerate(limited, 1):
        name = "limit" if len(limited) == 1 else f"limit_{number}"
        written += save(limit_by_round(answer.limits, _margin(answer)), out / name)
    if resources := axes(compared):
        written += save(limit_by_resource(resources, _margin(compared[0])), out / "limit_by_resource")
    accesses = dict.fromkeys(answer.condition.access for answer in compared)
    for access in accesses:
        alike = [answer for answer in compared if answer.condition.access == access]
        if len({generator_of(answer.condition)[0] for answer in alike}) > 1:
            name = "ladder" if len(accesses) == 1 else f"ladder_{access}"
            written += save(ladder([ladder_entry(answer) for answer in alike], _margin(alike[0])), out / name)
    return written


def _frontiers(compared: Sequence[Answer], names: Sequence[str], out: Path) -> list[Path]:
    """Draw AUC against kernel distance and against images, of the techniques that the first condition puts first."""
    paths = {name: [frontier(run) for run in each.runs] for name, each in zip(names, compared, strict=True)}
    if not any(point.kernel_distance > 0 for runs in paths.values() for run in runs for point in run):
        return []
    figure = frontier_map(paths, highlighted(compared[0].verdict), _margin(compared[0]))
    return save(figure, out / "frontier") + write_table(frontier_table(paths), out / "frontier")


def short_names(groups: Sequence[Condition]) -> list[str]:
    """Return names for a legend: the conditions' own, or access, generator and matching where one is too long.

    Equal names are numbered.
    """
    if all(len(group.name) <= LONGEST for group in groups):
        return [group.name for group in groups]
    names = [
        f"access={group.access}, {generator_of(group)[0]}{f', {group.matching} matched' if group.matching else ''}"
        for group in groups
    ]
    return [f"{name} #{names[:k].count(name) + 1}" if names.count(name) > 1 else name for k, name in enumerate(names)]


def _margin(answer: Answer) -> float:
    return answer.runs[0].declared.answer.margin


def _run_directories(place: Path) -> list[Path]:
    held = [] if (place / "config.yaml").is_file() else sorted(file.parent for file in place.rglob("records.jsonl"))
    return held or [place]
