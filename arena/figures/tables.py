"""Tables of a run and of conditions: as CSV and LaTeX, and in words."""

import csv
import math
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from arena.answer.findings import Finding
from arena.answer.game import Game
from arena.answer.series import MISSING, Series, Trajectory
from arena.answer.tiers import TIERS, Tier, Tiers
from arena.answer.verdict import Verdict
from arena.core.files import write_atomically
from arena.metrics.distances import frechet_name
from arena.records.schema import QualityRecord, Record

Table = list[list[str]]
"""A header row, then rows of as many cells."""


def scores_table(series: Sequence[Series]) -> Table:
    """Return one row a round and technique: AUC frozen, retrained, and of fresh judges with its 95% interval.

    ``larger_budget`` is the AUC of fresh judges with the larger budget that the verdict reads, where there is one.
    """
    table = [
        ["round", "technique", "access", "frozen", "retrained", "fresh", "fresh_low", "fresh_high", "larger_budget"]
    ]
    for round_index in series[0].rounds if series else ():
        for one in series:
            before = [one.at(regime, round_index).value for regime in ("frozen", "retrained")]
            aucs = map(number, [*before, *one.at("fresh", round_index), one.decisive.get(round_index, MISSING).value])
            table.append([str(round_index), one.technique, one.access, *aucs])
    return table


def verdict_table(verdict: Verdict) -> Table:
    """Return one row a technique: its AUC with the one-sided bounds at alpha that decide, and its finding.

    ``saturated`` says whether the upper bound ``gain_high`` of the gain from twice the data is below half the margin.
    """
    table = [["technique", "access", "auc", "low", "high", "finding", "saturated", "gain_high"]]
    for name, test in verdict.techniques.items():
        aucs = map(number, (test.auc, test.low, test.high))
        saturated = "" if test.saturated is None else yes(test.saturated)
        table.append([name, test.access, *aucs, test.finding, saturated, number(test.gain_high)])
    return table


def tiers_table(tiers: Tiers) -> Table:
    """Return one row a tier and technique: whether it was attacked, its AUC with one-sided bounds, and its finding.

    ``flipped`` says yes where the opposite sign of the scores would catch.
    """
    table = [["tier", "attacked", "technique", "auc", "low", "high", "finding", "flipped"]]
    for name in TIERS:
        tier: Tier = getattr(tiers, name)
        for attacked, part in ((True, tier.attacked), (False, tier.not_attacked)):
            for technique, test in part.techniques.items():
                aucs = map(number, (test.auc, test.low, test.high))
                table.append([name, yes(attacked), technique, *aucs, test.finding or "", yes(test.flipped)])
    return table


def quality_table(records: Sequence[Record]) -> Table:
    """Return one row a round, and a last one of held-out reals at as many images (memorisation: chance, 1/2).

    Standard errors stand beside the distances, the 95% interval beside memorisation. The last columns are the other
    figures of the guards, and empty for reals or where the data names no classes. The Frechet distance is
    extrapolated to infinitely many images, and called FID where the features are Inception's.
    """
    measured = [record for record in records if isinstance(record, QualityRecord)]
    if not measured:
        return []
    last = measured[-1]
    frechet = frechet_name(last.features).lower().replace(" ", "_")
    compared = ["kernel_distance", "kernel_distance_error", "frechet_distance", "frechet_distance_error"]
    compared += ["precision", "recall", "density", "coverage"]
    guarded = ["memorisation", "memorisation_low", "memorisation_high", "copied_at_most", "near_copies", "exact_copies"]
    guarded += ["class_distance", "class_distance_low", "class_distance_high", "unrecognised"]
    headings = [name.replace("frechet_distance", frechet) for name in compared]
    table = [["round", "features", "n", *headings, *guarded]]
    for record in measured:
        cells = [number(getattr(record, name)) for name in compared + guarded]
        table.append([str(record.round), record.features, str(record.n), *cells])
    reals = [number(getattr(last, f"real_{name}")) for name in compared]
    table.append(["reals", last.features, str(last.n), *reals, number(0.5), *[""] * (len(guarded) - 1)])
    return table


def trajectories_table(trajectories: Sequence[Trajectory]) -> Table:
    """Return one row a condition and round: AUC of its strongest technique with 95% interval, figures of its guards.

    The last round has a second row where the verdict reads other judges than every round has.
    """
    table = [["condition", "runs", "round", "strongest", "judge_images", "auc", "auc_low", "auc_high"]]
    table[0] += ["quality", "variety", "near_copies"]
    for trajectory in trajectories:
        for step in filter(None, (*trajectory.steps, trajectory.decisive)):
            words = [trajectory.name, str(len(trajectory.seeds) or 1), str(step.round), step.technique]
            words.append(str(step.judge_images))
            table.append([*words, *map(number, (*step.auc, *step.guarded.values()))])
    return table


def game_table(games: Mapping[str, Game]) -> Table:
    """Return one row a technique, of the rounds with a full payoff matrix; cells that need more rounds are empty.

    The value of the game is an AUC with its 95% interval. Exploitability is that of the last pair. ``bias`` is the most
    by which noise raises it on average. Beside the shares of interaction and of rotation stands the floor that noise
    alone gives. Reversals and circles are counted beyond error: "7/100" is 7 of 100. Forgetting and generator memory
    are those of the last round.
    """
    table = [["technique", "rounds", "value", "value_low", "value_high"]]
    table[0] += ["exploitability", "exploitability_low", "exploitability_high", "exploitability_bias"]
    table[0] += ["transitive", "interaction", "interaction_floor", "cyclic", "cyclic_floor", "reversals", "circles"]
    table[0] += ["forgetting", "forgetting_low", "forgetting_high"]
    table[0] += ["generator_memory", "generator_memory_low", "generator_memory_high"]
    for name, game in games.items():
        interaction, cyclic = game.transitivity.interaction, game.transitivity.cyclic
        figures = [*game.value, *game.last_pair.gap, game.last_pair.bias, 1.0 - interaction.value]
        for share in (interaction, cyclic):
            figures += [share.value, math.nan if math.isnan(share.value) else share.floor]
        counts = [
            f"{count.clear}/{count.possible}" if count.possible else "" for count in (game.reversals, game.circles)
        ]
        memory = (game.memory.forgetting, game.memory.generator_memory) if game.memory else (MISSING, MISSING)
        ends = [number(value) for interval in memory for value in interval]
        table.append([name, str(len(game.auc)), *map(number, figures), *counts, *ends])
    return table


class OutcomeRow(NamedTuple):
    """A technique at the verdict's round, in words."""

    technique: str
    access: str
    frozen: str
    retrained: str
    fresh: str
    finding: Finding


def outcome(verdict: Verdict, series: Sequence[Series]) -> list[OutcomeRow]:
    """Return one row for every technique of the verdict, as the console and the page show it."""
    by_name = {one.technique: one for one in series}
    rows = []
    for name, test in verdict.techniques.items():
        one = by_name.get(name)
        frozen = one.at("frozen", verdict.round) if one else MISSING
        retrained = one.at("retrained", verdict.round) if one else MISSING
        fresh = one.judged(verdict.round) if one else MISSING
        words = in_words(fresh.value)
        if not math.isnan(fresh.low):
            words += f" [{fresh.low:.3f}, {fresh.high:.3f}]"
        aucs = in_words(frozen.value), in_words(retrained.value), words
        rows.append(OutcomeRow(name, test.access, *aucs, test.finding))
    return rows


def in_words(value: float) -> str:
    """Return a number to three decimals, or a dash for NaN.

    >>> in_words(0.5), in_words(math.nan)
    ('0.500', '–')
    """
    return "–" if math.isnan(value) else f"{value:.3f}"


def number(value: float | None) -> str:
    """Return a number to four decimals, or nothing for None and NaN.

    >>> number(0.5), number(None)
    ('0.5000', '')
    """
    return "" if value is None or math.isnan(value) else f"{value:.4f}"


def yes(value: bool) -> str:
    """Return ``yes`` or ``no``."""
    return "yes" if value else "no"


def write_table(table: Table, stem: Path) -> list[Path]:
    """Write ``<stem>.csv`` and ``<stem>.tex``."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("csv", "tex")]
    for path, text in zip(paths, (to_csv(table), to_latex(table)), strict=True):
        write_atomically(path, text.encode())
    return paths


def to_csv(table: Table) -> str:
    """Return the table as comma-separated values, one line a row."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue()


def to_latex(table: Table) -> str:
    r"""Return the table as a ``tabular`` for the booktabs package: words left, numbers right.

    >>> print(to_latex([["name", "auc"], ["a_b", "0.5"]]), end="")
    \begin{tabular}{lr}
    \toprule
    name & auc \\
    \midrule
    a\_b & 0.5 \\
    \bottomrule
    \end{tabular}
    """
    header, *rows = table
    columns = "".join("r" if _numeric([row[k] for row in rows]) else "l" for k in range(len(header)))
    lines = [" & ".join(cell.translate(_SPECIAL) for cell in row) + r" \\" for row in table]
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([*body, r"\end{tabular}"]) + "\n"


def _numeric(cells: Sequence[str]) -> bool:
    return all(cell.lstrip("≤> ").replace(".", "", 1).replace("-", "", 1).isdigit() for cell in cells if cell)


_SPECIAL = str.maketrans(
    {character: "\\" + character for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "≤": r"$\le$", ">": "$>$"}
)
