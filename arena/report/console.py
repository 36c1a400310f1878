"""Print the outcome of a race, or the answer of a condition, to the console."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arena.answer.answer import Answer
from arena.answer.attack_sanity import WARNING
from arena.answer.cross import cross_in_words
from arena.answer.distance import distance_in_words
from arena.answer.frontier import NO_COMMON_QUALITY, EqualQuality
from arena.answer.limit import limits_in_words
from arena.answer.tiers import Tiers, flipped_in_words, tier_rows
from arena.answer.verdict import floor_in_words
from arena.figures.tables import outcome
from arena.metrics.interval import Interval

STYLE = {"passes": "green", "caught": "red", "undecided": "yellow", "unfit": "magenta"}


def print_outcome(answer: Answer, console: Console) -> None:
    """Print the outcome of one run; a console that is no terminal gets plain lines without wrapping."""
    run, verdict = answer.run.path, answer.verdict
    title = f"AUC at round {verdict.round}: 1 is detected, 1/2 is chance"
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    for heading in ("technique", "access", "frozen", "retrained", "fresh judges [95%]", "finding"):
        numeric = heading in ("frozen", "retrained")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=not heading.startswith("fresh"))
    for row in outcome(verdict, answer.series):
        table.add_row(*map(Text, row[:-1]), Text(row.finding, style=STYLE[row.finding]))
    console.print(table)
    _print_tiers(verdict.tiers, console)
    plain = not console.is_terminal
    console.print(Text(verdict.sentence, style="bold"), soft_wrap=plain)
    for line in floor_in_words(verdict.strongest):
        console.print(Text(line), soft_wrap=plain)
    for fault in verdict.faults:
        console.print(Text(f"flagged: {fault}"), soft_wrap=plain)
    for line in answer.attack:
        if line.startswith(WARNING):
            console.print(Text(line), soft_wrap=plain)
    for name, path in (("report", run / "report.html"), ("figures", run / "figures")):
        if path.exists():
            console.print(Text(f"{name}: {path}"), soft_wrap=True)


def print_answer(answer: Answer, console: Console) -> None:
    """Print a condition's table of techniques, its contrasts, the sentence of its verdict, its limits and distance."""
    runs, verdict = answer.runs, answer.verdict
    seeds = ", ".join(str(run.seed) for run in runs)
    console.rule(f"{answer.condition.name}: {len(runs)} run{'s' if len(runs) > 1 else ''} (seed {seeds})")
    bounds = f"low, high: one-sided bounds at {1 - verdict.alpha:.0%}"
    table = Table("technique", "access", "AUC", "low", "high", "finding", caption=bounds, caption_justify="left")
    for name, test in verdict.techniques.items():
        numbers = ("-" if value is None else f"{value:.3f}" for value in (test.auc, test.low, test.high))
        table.add_row(name, test.access, *numbers, test.finding)
    console.print(table)
    _print_tiers(verdict.tiers, console)
    for control, contrasts in answer.contrasts.items():
        budgets = " and ".join(f"{images:,}" for images in sorted({each.judge_images for each in contrasts}) if images)
        title = f"AUC less that of access={control}, with 95% intervals"
        title += f"; at the last round by judges of {budgets} images" if budgets else ""
        table = Table("technique", "at the last round", "pairs", "at equal kernel distance", "pairs", title=title)
        equal = {each.technique: each for each in answer.equal_quality[control]}
        for contrast in contrasts:
            row = contrast.technique, _difference_in_words(contrast.difference), str(contrast.pairs)
            table.add_row(*row, *_at_equal_quality(equal[contrast.technique]))
        if contrasts:
            console.print(table)
    console.print(verdict.sentence, soft_wrap=True)
    distance = [distance_in_words(verdict.distance)] if verdict.distance else []
    crossed = cross_in_words(answer.cross, verdict.margin, verdict.alpha)
    compute = [answer.compute] if answer.compute else []
    floors, limits = floor_in_words(verdict.strongest), limits_in_words(answer.limits)
    for line in (*crossed, *floors, *limits, *distance, *answer.attack, *compute):
        console.print(line, soft_wrap=True, highlight=False)
    for fault in verdict.faults:
        console.print(f"flagged, and left out of contrasts: {fault}", soft_wrap=True)
    console.print()


def _print_tiers(tiers: Tiers, console: Console) -> None:
    """Print the three verdicts, a row each, and the detectors whose sign is wrong."""
    table = Table("verdict", "techniques attacked, highest AUC", "not attacked, highest AUC", box=SIMPLE_HEAD)
    for name, _, *parts in tier_rows(tiers):
        table.add_row(Text(name), *map(Text, parts))
    console.print(table)
    if flipped := flipped_in_words(tiers):
        console.print(Text(flipped), soft_wrap=not console.is_terminal)


def _at_equal_quality(equal: EqualQuality) -> tuple[str, str]:
    """The difference at equal kernel distance, and the pairs of runs that have such a distance in common."""
    if equal.difference is None:
        return NO_COMMON_QUALITY, f"0 of {equal.compared}"
    return _difference_in_words(equal.difference), f"{equal.pairs} of {equal.compared}"


def _difference_in_words(difference: Interval) -> str:
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
