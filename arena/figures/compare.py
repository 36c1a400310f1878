"""Figures and tables that compare conditions, drawn from several finished runs."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from arena.answer.answer import Answer
from arena.answer.axes import axes
from arena.answer.conditions import Condition
from arena.figures.axes import save
from arena.figures.ladder import generator_of, ladder, ladder_entry
from arena.figures.limit import limit_by_resource, limit_by_round
from arena.figures.quality import quality
from arena.figures.tables import trajectories_table, write_table

LONGEST = 44
"""Letters of a name that a legend has room for."""


def compare(answers: Sequence[Answer], out: Path) -> list[Path]:
    """Draw quality against detectability, limits, curves along a swept resource, and a ladder of generators.

    A limit is drawn of each condition with a matched control among the answers, or with several runs. A ladder is drawn
    where conditions of one access have different generators.

    Args:
        answers: of the conditions, of one run or several each.
        out: output directory, made if missing.

    Returns:
        The files written.

    Raises:
        ArenaError: if the scores of a run are missing or altered.
    """
    if not answers:
        return []
    margin = answers[0].runs[0].declared.answer.margin
    names = short_names([answer.condition for answer in answers])
    table = [["name", "condition", "runs"]]
    table += [[name, each.condition.name, str(len(each.runs))] for name, each in zip(names, answers, strict=True)]
    named = [dataclasses.replace(each.trajectory, name=name) for name, each in zip(names, answers, strict=True)]
    trajectories = [trajectory for trajectory in named if trajectory.steps]
    written = []
    if trajectories:
        written += save(quality(trajectories), out / "quality")
        written += write_table(trajectories_table(trajectories), out / "comparison")
    written += write_table(table, out / "conditions")
    limited = [each for each in answers if each.controls or (len(each.runs) > 1 and not each.condition.control)]
    for number, answer in enumerate(limited, 1):
        name = "limit" if len(limited) == 1 else f"limit_{number}"
        figure = limit_by_round(answer.limits, answer.runs[0].declared.answer.margin)
        written += save(figure, out / name)
    if resources := axes(answers):
        written += save(limit_by_resource(resources, margin), out / "limit_by_resource")
    accesses = dict.fromkeys(answer.condition.access for answer in answers)
    for access in accesses:
        alike = [answer for answer in answers if answer.condition.access == access]
        if len({generator_of(answer.condition)[0] for answer in alike}) > 1:
            name = "ladder" if len(accesses) == 1 else f"ladder_{access}"
            margin = alike[0].runs[0].declared.answer.margin
            written += save(ladder([ladder_entry(answer) for answer in alike], margin), out / name)
    return written


def short_names(conditions: Sequence[Condition]) -> list[str]:
    """Return names for a legend: the conditions' own, or access and generator where one of those is too long.

    Equal names are numbered.
    """
    if all(len(condition.name) <= LONGEST for condition in conditions):
        return [condition.name for condition in conditions]
    names = [f"access={condition.access}, {generator_of(condition)[0]}" for condition in conditions]
    return [f"{name} #{names[:k].count(name) + 1}" if names.count(name) > 1 else name for k, name in enumerate(names)]
