"""What ends the console output: one row a technique, the verdict's sentence, and where to look next."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arena.answer.verdict import read_verdict
from arena.figures.series import read_series
from arena.records import read_records
from arena.report.outcome import outcome

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
