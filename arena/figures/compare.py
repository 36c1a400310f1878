"""The figures and the table that compare conditions, drawn from several finished runs."""

from collections.abc import Sequence
from pathlib import Path

from arena.answer.limit.axes import axes
from arena.answer.limit.limit import limits
from arena.answer.runs import CONTROLS, Condition
from arena.answer.trajectory import trajectory
from arena.figures.axes import save
from arena.figures.ladder import generator_of, ladder, ladder_entry
from arena.figures.limit import limit_by_resource, limit_by_round
from arena.figures.quality import quality
from arena.figures.tables import ways_table, write_table

LONGEST = 44
"""Letters of a name that a legend has room for."""


def compare(groups: Sequence[Condition], out: Path) -> list[Path]:
    """Draw what compares conditions.

    That is quality against detectability, limits beside those of matched controls, curves along what a sweep gave more
    of, and the ladder where generators differ.

    Args:
        groups: conditions, of one run or several each.
        out: where to; made if missing.

    Returns:
        The files written.

    Raises:
        ArenaError: if the scores of a run are missing or altered.
    """
    named = short_names(groups)
    ways = [its for its in map(trajectory, groups, named) if its.steps]
    written = [save(quality(ways), out / "quality"), write_table(ways_table(ways), out / "comparison")] if ways else []
    if groups:
        table = [
            ["name", "condition", "runs"],
            *([name, its.name, str(len(its.runs))] for name, its in zip(named, groups, strict=True)),
        ]
        written.append(write_table(table, out / "conditions"))
    written += _limits(groups, out)
    for access, alike in _by_access(groups).items():
        if len({generator_of(its)[0] for its in alike}) > 1:
            name = "ladder" if len(_by_access(groups)) == 1 else f"ladder_{access}"
            margin = alike[0].runs[0].declared.answer.margin
            written.append(save(ladder([ladder_entry(its) for its in alike], margin), out / name))
    return [path for paths in written for path in paths]


def _limits(groups: Sequence[Condition], out: Path) -> list[list[Path]]:
    """Of each condition with a control here or several runs; and along each resource of a sweep."""
    written = []
    found = limits(groups)
    compared = [its for its in groups if its.controls(groups) or (len(its.runs) > 1 and its.access not in CONTROLS)]
    for number, its in enumerate(compared, 1):
        margin = its.runs[0].declared.answer.margin
        name = "limit" if len(compared) == 1 else f"limit_{number}"
        written.append(save(limit_by_round(found[its.name], margin), out / name))
    if along := axes(groups):
        margin = groups[0].runs[0].declared.answer.margin
        written.append(save(limit_by_resource(along, margin), out / "limit_by_resource"))
    return written


def short_names(groups: Sequence[Condition]) -> list[str]:
    """Names for a legend: the conditions' own, or access and generator where those are too long.

    What sets two conditions apart may be a dozen settings; what is then called alike is numbered.
    """
    if all(len(its.name) <= LONGEST for its in groups):
        return [its.name for its in groups]
    names = [f"access={its.access}, {generator_of(its)[0]}" for its in groups]
    return [f"{name} #{names[:k].count(name) + 1}" if names.count(name) > 1 else name for k, name in enumerate(names)]


def _by_access(groups: Sequence[Condition]) -> dict[str, list[Condition]]:
    """Generators are compared where they were told the same."""
    return {
        access: [its for its in groups if its.access == access] for access in dict.fromkeys(g.access for g in groups)
    }
