"""Verdicts and contrasts as tables of a terminal."""

from collections.abc import Sequence

from rich.table import Table

from arena.answer.contrasts import Contrast
from arena.answer.verdict import Verdict


def techniques_table(found: Verdict) -> Table:
    """AUC of each technique's fresh judges with its one-sided bounds, and what it found."""
    bounds = f"low, high: one-sided bounds at {1 - found.alpha:.0%}"
    table = Table("technique", "told", "AUC", "low", "high", "finding", caption=bounds, caption_justify="left")
    for name, its in found.techniques.items():
        figures = ("-" if value is None else f"{value:.3f}" for value in (its.auc, its.low, its.high))
        table.add_row(name, "yes" if its.told else "no", *figures, its.finding)
    return table


def contrasts_table(control: str, found: Sequence[Contrast]) -> Table:
    """Paired differences from one control with their 95% intervals."""
    table = Table("technique", "difference", "95% low", "95% high", "pairs", title=f"AUC less that of access={control}")
    for its in found:
        table.add_row(its.technique, f"{its.difference:+.3f}", f"{its.low:+.3f}", f"{its.high:+.3f}", str(its.pairs))
    return table
