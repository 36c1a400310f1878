"""The figures and the table that compare conditions, drawn from several finished runs."""

from collections.abc import Sequence
from pathlib import Path

from arena.answer.conditions import Condition
from arena.figures.ladder import generator_of, ladder, rung
from arena.figures.quality import quality, way
from arena.figures.style import save
from arena.figures.tables import ways_table, write_table


def compare(groups: Sequence[Condition], out: Path) -> list[Path]:
    """Draw what compares conditions: quality against detectability, and the ladder where generators differ.

    Args:
        groups: conditions, of one run or several each.
        out: where to; made if missing.

    Returns:
        The files written.

    Raises:
        ArenaError: if the scores of a run are missing or altered.
    """
    ways = [its for its in map(way, groups) if its.steps]
    written = save(quality(ways), out / "quality") + write_table(ways_table(ways), out / "comparison") if ways else []
    for access, alike in _by_access(groups).items():
        if len({generator_of(its) for its in alike}) > 1:
            name = "ladder" if len(_by_access(groups)) == 1 else f"ladder_{access}"
            margin = alike[0].runs[0].declared.answer.margin
            written += save(ladder([rung(its) for its in alike], margin), out / name)
    return written


def _by_access(groups: Sequence[Condition]) -> dict[str, list[Condition]]:
    """Generators are compared where they were told the same."""
    return {
        access: [its for its in groups if its.access == access] for access in dict.fromkeys(g.access for g in groups)
    }
