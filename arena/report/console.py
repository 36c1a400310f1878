"""Print the outcome of a race to the console."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arena.answer.answer import Answer
from arena.answer.contrasts import Contrast
from arena.answer.limit.axes import axes, axis_in_words
from arena.answer.sentences import distance_in_words, limits_in_words
from arena.answer.verdict import Verdict
from arena.report.outcome import outcome


def techniques_table(found: Verdict) -> Table:
    """AUC of each technique's fresh judges with its one-sided bounds, and what it found."""
    bounds = f"low, high: one-sided bounds at {1 - found.alpha:.0%}"
    table = Table("technique", "access", "AUC", "low", "high", "finding", caption=bounds, caption_justify="left")
    for name, its in found.techniques.items():
        figures = ("-" if value is None else f"{value:.3f}" for value in (its.auc, its.low, its.high))
        table.add_row(name, its.access, *figures, its.finding)
    return table


def contrasts_table(control: str, found: Sequence[Contrast]) -> Table:
    """Paired differences from one control with their 95% intervals."""
    table = Table("technique", "difference", "95% low", "95% high", "pairs", title=f"AUC less that of access={control}")
    for its in found:
        table.add_row(its.technique, *(f"{value:+.3f}" for value in its.difference), str(its.pairs))
    return table


STYLE = {"passes": "green", "caught": "red", "undecided": "yellow", "unfit": "magenta"}


def print_outcome(answer: Answer, console: Console) -> None:
    """Print the outcome of one run; away from a terminal the same as plain lines, none of them wrapped.

    Args:
        answer: of the run.
        console: where to.
    """
    run, verdict = answer.run.path, answer.verdict
    table = Table(
        title=f"AUC at round {verdict.round}: 1 is found out, 1/2 is chance", box=SIMPLE_HEAD, title_justify="left"
    )
    for heading in ("technique", "access", "frozen", "retrained", "fresh judges [95%]", "finding"):
        numeric = heading in ("frozen", "retrained")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=not heading.startswith("fresh"))
    for row in outcome(verdict, answer.series):
        table.add_row(*map(Text, row[:-1]), Text(row.finding, style=STYLE[row.finding]))
    console.print(table)
    plain = not console.is_terminal
    console.print(Text(verdict.sentence, style="bold"), soft_wrap=plain)
    for fault in verdict.faults:
        console.print(Text(f"flagged: {fault}"), soft_wrap=plain)
    for name, path in (("report", run / "report.html"), ("figures", run / "figures")):
        if path.exists():
            console.print(Text(f"{name}: {path}"), soft_wrap=True)


def print_answers(answers: Sequence[Answer], console: Console) -> None:
    """Print the answer of every condition, then the limits along what a sweep varied."""
    for answer in answers:
        print_answer(answer, console)
    for axis in axes(answers):
        console.print(axis_in_words(axis), soft_wrap=True, highlight=False)


def print_answer(answer: Answer, console: Console) -> None:
    """Print the verdict on a condition as a table of techniques, its contrasts, its sentence, limits and distance."""
    runs = answer.runs
    seeds = ", ".join(str(run.seed) for run in runs)
    console.rule(f"{answer.condition.name}: {len(runs)} run{'s' if len(runs) > 1 else ''} (seed {seeds})")
    console.print(techniques_table(answer.verdict))
    for control, found in answer.contrasts.items():
        if found:
            console.print(contrasts_table(control, found))
    console.print(answer.verdict.sentence, soft_wrap=True)
    for line in limits_in_words(answer.limits):
        console.print(line, soft_wrap=True, highlight=False)
    if answer.verdict.distance is not None:
        console.print(distance_in_words(answer.verdict.distance), soft_wrap=True, highlight=False)
    for fault in answer.verdict.faults:
        console.print(f"flagged, and left out of contrasts: {fault}", soft_wrap=True)
    console.print()
