"""Print the outcome of a race to the console."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arena.answer.contrasts import Contrast
from arena.answer.verdict import Verdict, read_verdict
from arena.figures.series import read_series
from arena.records.store import read_records
from arena.report.outcome import outcome


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


STYLE = {"passes": "green", "caught": "red", "undecided": "yellow", "unfit": "magenta"}


def print_outcome(run: Path, console: Console) -> None:
    """Print the outcome of a finished run; away from a terminal the same as plain lines, none of them wrapped.

    Args:
        run: the run directory.
        console: where to.

    Raises:
        ArenaError: if the run is not finished.
    """
    verdict = read_verdict(run)
    table = Table(
        title=f"AUC at round {verdict.round}: 1 is found out, 1/2 is chance", box=SIMPLE_HEAD, title_justify="left"
    )
    for heading in ("technique", "told", "frozen", "retrained", "fresh judges [95%]", "finding"):
        numeric = heading in ("frozen", "retrained")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=not heading.startswith("fresh"))
    for row in outcome(verdict, read_series(run, read_records(run))):
        table.add_row(*map(Text, row[:-1]), Text(row.finding, style=STYLE[row.finding]))
    console.print(table)
    plain = not console.is_terminal
    console.print(Text(verdict.sentence, style="bold"), soft_wrap=plain)
    for fault in verdict.faults:
        console.print(Text(f"flagged: {fault}"), soft_wrap=plain)
    for name, path in (("report", run / "report.html"), ("figures", run / "figures")):
        if path.exists():
            console.print(Text(f"{name}: {path}"), soft_wrap=True)
