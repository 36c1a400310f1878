"""The tables of a run: AUC by round, technique and regime, and the findings of the verdict, as CSV and LaTeX."""

import csv
import math
from collections.abc import Sequence
from io import StringIO

from arena.figures.series import reading, rounds, techniques, told
from arena.records import Record

Table = list[list[str]]
"""A header row, then rows of as many cells."""


def scores_table(records: Sequence[Record]) -> Table:
    """One row a round and technique: frozen, retrained, and the fresh judges with their 95% interval."""
    table = [["round", "technique", "told", "frozen", "retrained", "fresh", "low", "high"]]
    for round in rounds(records):
        for name in techniques(records):
            fresh = reading(records, name, "fresh", round)
            frozen, retrained = (reading(records, name, regime, round).auc for regime in ("frozen", "retrained"))
            cells = [number(value) for value in (frozen, retrained, *fresh)]
            table.append([str(round), name, yes(told(records, name)), *cells])
    return table


def number(value: float) -> str:
    """An AUC to four decimals, nothing where there is none."""
    return "" if math.isnan(value) else f"{value:.4f}"


def yes(value: bool) -> str:
    """The word of a flag."""
    return "yes" if value else "no"


def to_csv(table: Table) -> str:
    """Comma-separated, one line a row."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue()


def to_latex(table: Table) -> str:
    """A ``tabular`` for the booktabs package: words left, numbers right."""
    header, *rows = table
    columns = "".join("r" if _numeric([row[k] for row in rows]) else "l" for k in range(len(header)))
    lines = [" & ".join(map(_escaped, row)) + r" \\" for row in table]
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([*body, r"\end{tabular}"]) + "\n"


def _numeric(cells: Sequence[str]) -> bool:
    return all(cell.replace(".", "", 1).replace("-", "", 1).isdigit() for cell in cells if cell)


_SPECIAL = {character: "\\" + character for character in "&%$#_{}"}
_SPECIAL |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def _escaped(cell: str) -> str:
    return cell.translate(str.maketrans(_SPECIAL))
