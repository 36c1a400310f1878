"""Write tables as CSV and LaTeX."""

import csv
import math
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from arena.answer.game.game import Game
from arena.answer.game.payoff import MeasuredValue
from arena.answer.game.structure import VarianceShare
from arena.answer.trajectory import Trajectory
from arena.answer.verdict import Verdict
from arena.core.files import write_atomically
from arena.figures.series import Series
from arena.metrics.frechet import frechet_name
from arena.records.schema import QualityRecord, Record

Table = list[list[str]]
"""A header row, then rows of as many cells."""


def scores_table(series: Sequence[Series]) -> Table:
    """One row a round and technique: frozen, retrained, and the fresh judges together with their 95% interval."""
    table = [["round", "technique", "told", "frozen", "retrained", "fresh", "fresh_low", "fresh_high"]]
    for round_index in series[0].rounds if series else ():
        for its in series:
            fresh = its.at("fresh", round_index)
            aucs = (
                its.at("frozen", round_index).auc,
                its.at("retrained", round_index).auc,
                fresh.auc,
                fresh.low,
                fresh.high,
            )
            table.append([str(round_index), its.technique, yes(its.told), *map(number, aucs)])
    return table


def verdict_table(verdict: Verdict) -> Table:
    """One row a technique: its AUC with the one-sided bounds at alpha that decide, and its finding."""
    table = [["technique", "told", "auc", "low", "high", "finding"]]
    for name, its in verdict.techniques.items():
        table.append([name, yes(its.told), number(its.auc), number(its.low), number(its.high), its.finding])
    return table


def quality_table(records: Sequence[Record]) -> Table:
    """One row a round, and one for what held-out reals give at as many images (of memorisation chance, 1/2).

    Standard errors stand beside the distances, the 95% interval beside memorisation. The Frechet distance is
    extrapolated to endlessly many images, and called FID where the features are Inception's.
    """
    found = [record for record in records if isinstance(record, QualityRecord)]
    if not found:
        return []
    last = found[-1]
    frechet = frechet_name(last.features).lower().replace(" ", "_")
    compared = ["kernel_distance", "kernel_distance_error", "frechet_distance", "frechet_distance_error"]
    compared += ["precision", "recall", "density", "coverage"]
    copied = ["memorisation", "memorisation_low", "memorisation_high"]
    headings = [name.replace("frechet_distance", frechet) for name in compared]
    table = [["round", "features", "n", *headings, *copied]]
    for its in found:
        figures = [number(getattr(its, name)) for name in compared + copied]
        table.append([str(its.round), its.features, str(its.n), *figures])
    of_reals = [number(getattr(last, f"real_{name}")) for name in compared]
    table.append(["reals", last.features, str(last.n), *of_reals, number(0.5), "", ""])
    return table


def ways_table(ways: Sequence[Trajectory]) -> Table:
    """One row a condition and round: AUC of its strongest technique with the 95% interval, and what its guards read."""
    guarded = ["quality", "variety", "memorisation_low"]
    table = [["condition", "runs", "round", "strongest", "auc", "auc_low", "auc_high", *guarded]]
    for its in ways:
        for step in its.steps:
            figures = (step.point.auc, step.point.low, step.point.high, *step.guarded.values())
            words = [its.name, str(len(its.seeds) or 1), str(step.round), step.technique]
            table.append([*words, *map(number, figures)])
    return table


def write_table(table: Table, stem: Path) -> list[Path]:
    """Write ``<stem>.csv`` and ``<stem>.tex``."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("csv", "tex")]
    for path, text in zip(paths, (to_csv(table), to_latex(table)), strict=True):
        write_atomically(path, text.encode())
    return paths


def number(value: float | None) -> str:
    """A figure to four decimals, nothing where there is none."""
    return "" if value is None or math.isnan(value) else f"{value:.4f}"


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
    return all(cell.lstrip("≤> ").replace(".", "", 1).replace("-", "", 1).isdigit() for cell in cells if cell)


_SPECIAL = {character: "\\" + character for character in "&%$#_{}"}
_SPECIAL |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SPECIAL |= {"≤": r"$\le$", ">": "$>$"}


def _escaped(cell: str) -> str:
    return cell.translate(str.maketrans(_SPECIAL))


MISSING = MeasuredValue(float("nan"), float("nan"), float("nan"))


def game_table(games: Mapping[str, Game]) -> Table:
    """One row a technique, of the rounds everybody met everybody; nothing where one round alone says nothing.

    The value of the game is an AUC with its 95% interval. Exploitability is that of the last live pair; ``bias`` is the
    most by which noise makes it too large in mean. Beside the shares of interaction and of rotation stands the floor
    that noise alone puts there. Reversals and circles are counted beyond error, "7/100" being 7 of 100. Forgetting and
    generator memory are those of the last round.
    """
    table = [["technique", "rounds", "value", "value_low", "value_high"]]
    table[0] += ["exploitability", "exploitability_low", "exploitability_high", "exploitability_bias"]
    table[0] += ["transitive", "interaction", "interaction_floor", "cyclic", "cyclic_floor", "reversals", "circles"]
    table[0] += ["forgetting", "forgetting_low", "forgetting_high"]
    table[0] += ["generator_memory", "generator_memory_low", "generator_memory_high"]
    for name, its in games.items():
        last, kept = its.live[-1], its.memory[-1] if its.memory else None
        interaction, cyclic = its.transitivity.interaction, its.transitivity.cyclic
        figures = [*its.value, last.value, last.low, last.high, last.bias, 1.0 - interaction.value]
        figures += [*_measured(interaction), *_measured(cyclic)]
        counts = [f"{count.found}/{count.tried}" if count.tried else "" for count in (its.reversals, its.circles)]
        ends = [*(kept.forgetting if kept else MISSING), *(kept.generator_memory if kept else MISSING)]
        table.append([name, str(len(its.auc)), *map(number, figures), *counts, *map(number, ends)])
    return table


def _measured(share: VarianceShare) -> tuple[float, float]:
    """The share and its floor; no floor where there is no share."""
    return share.value, share.floor if share.value == share.value else share.value
