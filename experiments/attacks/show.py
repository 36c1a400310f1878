"""Show what responses to the detectors are worth: a figure, tables and a file of the numbers of ``measure.py``.

    python experiments/attacks/show.py OUT

Reads OUT/measured.jsonl. Writes OUT/ablation.png, OUT/ablation.pdf and OUT/ablation.csv, and prints Markdown tables.
"""

import argparse
import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median, variance
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from measure import CONDITIONS, Measured, measured

from arena.answer.estimate import Estimate
from arena.figures.axes import FAINT, look, save
from arena.figures.marks import HIGHLIGHTS
from arena.metrics.interval import Interval

CONTROL = "none"
"""Condition from which all others are told apart, seed by seed."""
MATCHED = (
    ("live", "random"),
    ("live and kernel", "random and kernel"),
    ("live and kernel", "none, equal compute"),
    ("live, resampled", "live"),
    ("live, resampled", "random, resampled"),
    ("live, resampled", "none, equal compute"),
)
"""Conditions that know techniques, each beside as many critics that know none, or beside as much compute."""
WIDEST = 2.5
"""Half of the width of a panel, in medians of the farthest ends of the intervals. What lies beyond is a number."""
BASE, OTHERS = HIGHLIGHTS[1], HIGHLIGHTS[0]
"""Marks of the control and of all other conditions."""


class Column(NamedTuple):
    """A number of each response, with its standard error by images and judges.

    Both are functions of a response and of the technique that was held out where it is compared.
    """

    name: str
    value: Callable[[Measured, str], float | None]
    error: Callable[[Measured, str], float]


def columns(lines: Sequence[Measured]) -> list[Column]:
    """Return the stack, each technique, the kernel distance and recall. All but recall are better when smaller."""
    names = sorted({name for line in lines for name in line.fresh}, key=lambda name: (name != "stack", name))
    held_out = Column("held out", lambda line, held: line.fresh.get(held), lambda line, held: line.error[held])
    return [
        *(Column(name, lambda line, _, n=name: line.fresh[n], lambda line, _, n=name: line.error[n]) for name in names),
        *([held_out] if any(line.held_out for line in lines) else []),
        Column(
            "kernel distance",
            lambda line, _: line.quality["kernel_distance"],
            lambda line, _: line.quality["kernel_distance_error"],
        ),
        Column("recall", lambda line, _: line.quality["recall"], lambda line, _: 0.0),
    ]


class Comparison(NamedTuple):
    """A condition beside another one."""

    condition: str
    control: str

    @property
    def name(self) -> str:
        """Its name in a table or figure."""
        return self.condition if self.control == CONTROL else f'{self.condition} less "{self.control}"'


def comparisons(lines: Sequence[Measured]) -> list[Comparison]:
    """Return every measured condition beside ``CONTROL``, and those of ``MATCHED`` beside their own controls."""
    known = {line.condition for line in lines}
    return [
        *(Comparison(condition, CONTROL) for condition in CONDITIONS if condition in known),
        *(Comparison(condition, other) for condition, other in MATCHED if {condition, other} <= known),
    ]


class Cell(NamedTuple):
    """A column of one condition: mean over seeds, and the difference from its control over the seeds of both."""

    mean: float
    seeds: list[float]
    difference: Interval | None


def cell(lines: Sequence[Measured], comparison: Comparison, column: Column) -> Cell | None:
    """Return a cell, None where no response of the condition has the number."""
    condition, beside = comparison
    found = [line for line in lines if line.condition == condition]
    values = [value for line in found if (value := column.value(line, line.held_out)) is not None]
    if not values:
        return None
    control = {line.seed: line for line in lines if line.condition == beside}
    gaps, squares = list[float](), list[float]()
    for line in found:
        if line.seed in control and condition != beside:
            own, base = (column.value(each, line.held_out) for each in (line, control[line.seed]))
            assert own is not None
            assert base is not None
            gaps.append(own - base)
            squares.append(sum(column.error(each, line.held_out) ** 2 for each in (line, control[line.seed])))
    return Cell(fmean(values), values, difference(gaps, squares) if gaps else None)


def difference(gaps: Sequence[float], squares: Sequence[float]) -> Interval:
    """Return the mean of differences with its 95% interval: by their spread or by their own errors, the wider one.

    Args:
        gaps: one for each seed.
        squares: squared standard error of each by its images and judges.
    """
    count = len(gaps)
    spread, own = variance(gaps) / count if count > 1 else 0.0, sum(squares) / count**2
    return Estimate(fmean(gaps), 0.0, spread, max(count - 1, 1), 10_000, count, count, own).interval()


def markdown(lines: Sequence[Measured], shown: Sequence[Column]) -> str:
    """Return a table of the fresh AUC and the quality, and one of the frozen and live AUC and the cost."""
    compared = comparisons(lines)
    rows = [["condition", *(column.name for column in shown), "seeds"]]
    for comparison in compared:
        cells = [cell(lines, comparison, column) for column in shown]
        seeds = sum(line.condition == comparison.condition for line in lines)
        rows.append([comparison.name, *map(in_words, cells), str(seeds)])
    names = [column.name for column in shown if column.name in lines[0].frozen]
    heads = [*(f"frozen {name}" for name in names), *(f"live {name}" for name in names)]
    costs = [["condition", *heads, "memorisation", "TMAC", "detector updates", "queries"]]
    for condition in [comparison.condition for comparison in compared if comparison.control == CONTROL]:
        own = [line for line in lines if line.condition == condition]
        aucs = [auc_of(own, name, "frozen") for name in names] + [auc_of(own, name, "live") for name in names]
        spent = [fmean(line.cost[name] for line in own) for name in ("tera_macs", "detector_updates", "queries")]
        memorised = fmean(line.quality["memorisation"] for line in own)
        costs.append([condition, *aucs, f"{memorised:.2f}", f"{spent[0]:.1f}", f"{spent[1]:.0f}", f"{spent[2]:.0f}"])
    return "\n".join(line for table in (rows, [[]], costs) for line in as_lines(table))


def as_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, an empty one for a table without columns."""
    if not rows[0]:
        return [""]
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return [head, "|" + "---|" * len(rows[0]), *body]


def in_words(of: Cell | None) -> str:
    """Return a mean and the difference from the control with its interval."""
    if of is None:
        return "-"
    value, low, high = of.difference or (None, None, None)
    return f"{of.mean:.3f}" + ("" if value is None else f" ({value:+.3f} [{low:+.3f}, {high:+.3f}])")


def auc_of(lines: Sequence[Measured], technique: str, regime: str) -> str:
    """Return the mean of a frozen or live AUC over the responses that have it."""
    aucs = [line.frozen.get(technique) if regime == "frozen" else line.live.get(technique) for line in lines]
    known = [auc for auc in aucs if auc is not None]
    return f"{fmean(known):.3f}" if known else "-"


def draw(lines: Sequence[Measured], shown: Sequence[Column]) -> Figure:
    """Draw the difference of each condition from its control, a panel for each column."""
    compared = comparisons(lines)
    with look():
        figure = Figure(figsize=(2.9 + 1.05 * len(shown), 0.7 + 0.21 * len(compared)), layout="constrained")
        panels: list[Axes] = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0].tolist()
        for axes, column in zip(panels, shown, strict=True):
            control = cell(lines, Comparison(CONTROL, CONTROL), column)
            title = column.name if control is None else f"{column.name}\n{CONTROL}: {control.mean:.3f}"
            axes.set_title(title, fontsize=7.5)
            axes.axvline(0, color=BASE.colour, linewidth=0.9)
            axes.axhline(sum(each.control == CONTROL for each in compared) - 0.5, color=FAINT, linewidth=0.9)
            found = [cell(lines, comparison, column) for comparison in compared]
            gaps = {
                k: each.difference for k, each in enumerate(found) if each is not None and each.difference is not None
            }
            reach = WIDEST * median([max(abs(low), abs(high)) for _, low, high in gaps.values()] or [1.0])
            for height, (value, low, high) in gaps.items():
                low, high = (min(max(end, -reach), reach) for end in (low, high))
                axes.hlines(height, low, high, color=OTHERS.colour, linewidth=1.0)
                if abs(value) < reach:
                    axes.plot(value, height, OTHERS.marker, color=OTHERS.colour, markersize=3.5)
                else:
                    end = {"ha": "right", "x": reach} if value > 0 else {"ha": "left", "x": -reach}
                    axes.text(y=height - 0.15, s=f"{value:+.2f}", fontsize=6.5, va="bottom", **end)
            axes.grid(axis="y", color=FAINT, linewidth=0.3)
            axes.tick_params(axis="y", length=0)
            axes.xaxis.set_major_locator(MaxNLocator(3))
        panels[0].set_yticks(range(len(compared)), [comparison.name for comparison in compared])
        panels[0].set_ylim(len(compared) - 0.5, -0.5)
        figure.supxlabel(
            f"difference from {CONTROL}, or from the condition named, at equal seed: mean and 95% interval", fontsize=8
        )
    return figure


def write_csv(lines: Sequence[Measured], shown: Sequence[Column], path: Path) -> None:
    """Write one row for each comparison and column, with the value of every seed."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["condition", "control", "column", "mean", "difference", "low", "high", "seeds", "values"])
        for comparison in comparisons(lines):
            for column in shown:
                found = cell(lines, comparison, column)
                if found is not None:
                    gaps = [f"{end:.5f}" for end in found.difference] if found.difference else ["", "", ""]
                    values = " ".join(f"{value:.5f}" for value in found.seeds)
                    writer.writerow([*comparison, column.name, f"{found.mean:.5f}", *gaps, len(found.seeds), values])


def main() -> None:
    """Draw, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    lines = measured(out)
    if not lines:
        parser.error(f"{out / 'measured.jsonl'}: no line; expected those of measure.py")
    if len(precisions := {line.precision for line in lines}) > 1:
        parser.error(f"{out / 'measured.jsonl'}: expected responses of one precision, found {sorted(precisions)}")
    shown = columns(lines)
    save(draw(lines, shown), out / "ablation")
    write_csv(lines, shown, out / "ablation.csv")
    print(markdown(lines, shown))


if __name__ == "__main__":
    main()
