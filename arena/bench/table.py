"""What was measured, as a table and as JSON."""

import dataclasses
import json
from collections.abc import Sequence
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table

from arena.bench.battery import BatteryCosts
from arena.bench.cells import STYLE, TEXTBOOK, Cell
from arena.bench.machine import MachineFacts
from arena.bench.measure import Figures
from arena.bench.settings import Settings
from arena.training.machine import Precision

WORDS = ("work", "of", "how")
NUMBERS = ("parameters", "images/s", "±", "x", "images/core-s", "x", "MiB")


@dataclasses.dataclass(frozen=True)
class Bench:
    """One run of the benchmark.

    Args:
        settings: of all cells.
        machine: at the start.
        figures: of each cell.
        lightning: milliseconds that Lightning adds to a step, by precision, where that was measured.
    """

    settings: Settings
    machine: MachineFacts
    figures: list[Figures]
    lightning: dict[Precision, float]


class Ratio(NamedTuple):
    """How many times as fast as the textbook port at the same work: by the clock, and for each second of a core."""

    clock: float
    processor: float


def textbook_ratio(figures: Figures, found: Sequence[Figures]) -> Ratio | None:
    """None where the textbook port was not measured at the same work."""
    for other in found:
        if other.cell.name == TEXTBOOK and other.cell.work == figures.cell.work and other.paces:
            return Ratio(
                figures.images_per_second / other.images_per_second,
                figures.images_per_processor_second / other.images_per_processor_second,
            )
    return None


def lightning_share(bench: Bench, precision: Precision) -> float | None:
    """What Lightning adds to a step of ``style``, as a share of the bare loop; None where that was not measured."""
    plain = Cell("training", STYLE, precision)
    for figures in bench.figures:
        if figures.cell == plain and figures.paces:
            seconds = bench.settings.batch / figures.images_per_second
            return bench.lightning[precision] / 1000 / seconds
    return None


def bench_table(found: Sequence[Figures]) -> Table:
    """One row a cell; where one could not be measured, why."""
    caption = "x: times the textbook port at the same work. MiB: peak of a process that does only this"
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    for heading in (*WORDS, *NUMBERS):
        table.add_column(heading, justify="left" if heading in WORDS else "right", no_wrap=True)
    for figures in found:
        cell, trial = figures.cell, figures.trial
        size = "" if trial.parameters is None else " + ".join(f"{n / 1e6:.2f}M" for n in trial.parameters)
        how = cell.precision if cell.variant == "plain" else f"{cell.precision} {cell.variant}"
        row = [cell.work, cell.name, how, size]
        if trial.failed is not None:
            table.add_row(*row[:3], trial.failed, *[""] * 6)
            continue
        ratio = textbook_ratio(figures, found)
        times = ("", "") if ratio is None else (f"{ratio.clock:.2f}", f"{ratio.processor:.2f}")
        wall = f"{figures.images_per_second:.1f}", f"{figures.spread:.0%}", times[0]
        table.add_row(
            *row, *wall, f"{figures.images_per_processor_second:.1f}", times[1], f"{trial.peak_memory_mib:.0f}"
        )
    return table


def notes(bench: Bench) -> list[str]:
    """What the table does not say: the machine, Lightning's cost, what kept cells from being measured."""
    idle = max(figures.trial.idle_memory_mib for figures in bench.figures)
    lines = [str(bench.machine)]
    if bench.machine.busy:
        lines.append(
            "others are at work on this machine: compare figures of this run with each other and with no others, and "
            "trust images/core-s, a second of processor time, before images/s"
        )
    for precision, milliseconds in bench.lightning.items():
        share = lightning_share(bench, precision)
        of_step = "" if share is None else f", {share:.2%} of a bare step of {STYLE}"
        lines.append(f"Lightning adds {milliseconds:.2f} ms to a step in {precision}{of_step}")
    lines.append(f"a process that does nothing has {idle:.0f} MiB")
    for figures in bench.figures:
        if figures.trial.failed is not None:
            lines.append(f"{figures.cell}: {figures.trial.failed}: {figures.trial.reason}")
    return lines


def as_json(bench: Bench) -> str:
    """The same and more.

    ``machine`` and ``settings`` are the fields of ``MachineFacts`` and ``Settings``. ``lightning`` has, by precision,
    the ``milliseconds`` Lightning adds to a step and their ``share`` of a bare step of ``style``, or null. Each of
    ``cells`` has ``work``, ``name``, ``precision``, ``variant``; ``parameters`` of generator and discriminator, or
    null; ``failed`` and ``reason``, null where it was measured; and, null where it was not, ``images_per_second`` and
    ``images_per_processor_second`` (of all threads together), medians of the visits; ``spread``, half the distance of
    the quartiles over the median; ``textbook_ratio`` and ``textbook_processor_ratio``; ``peak_memory_mib`` and
    ``idle_memory_mib``; ``seconds_per_image`` is a list of every visit's, in order.
    """
    document = {
        "machine": dataclasses.asdict(bench.machine),
        "settings": dataclasses.asdict(bench.settings),
        "lightning": {
            precision: {"milliseconds": milliseconds, "share": lightning_share(bench, precision)}
            for precision, milliseconds in bench.lightning.items()
        },
        "cells": [_row(figures, bench.figures) for figures in bench.figures],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _row(figures: Figures, found: Sequence[Figures]) -> dict[str, object]:
    trial, measured = figures.trial, bool(figures.paces)
    ratio = textbook_ratio(figures, found) if measured else None
    return {
        **dataclasses.asdict(figures.cell),
        "parameters": trial.parameters,
        "failed": trial.failed,
        "reason": trial.reason or None,
        "images_per_second": figures.images_per_second if measured else None,
        "images_per_processor_second": figures.images_per_processor_second if measured else None,
        "spread": figures.spread if measured else None,
        "textbook_ratio": None if ratio is None else ratio.clock,
        "textbook_processor_ratio": None if ratio is None else ratio.processor,
        "peak_memory_mib": trial.peak_memory_mib if measured else None,
        "idle_memory_mib": trial.idle_memory_mib if measured else None,
        "seconds_per_image": [pace.seconds for pace in figures.paces],
    }


def battery_table(costs: BatteryCosts) -> Table:
    """A technique a row, and the one pass of all of them last."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("technique")
    for name in ("parameters", "train s", "scored images/s"):
        table.add_column(name, justify="right")
    rows = {**costs.alone, "all in one pass": costs.together}
    for name, cost in rows.items():
        table.add_row(name, f"{cost.parameters:,}", f"{cost.train_seconds:.2f}", f"{cost.scored:,.0f}")
    return table


def battery_notes(costs: BatteryCosts) -> list[str]:
    """What one pass saves, and who was left out."""
    alone = sum(cost.train_seconds for cost in costs.alone.values())
    separate = 1 / sum(1 / cost.scored for cost in costs.alone.values())
    return [
        f"trained apart {alone:.1f} s, in one pass {costs.together.train_seconds:.1f} s: "
        f"{costs.training_saved:.0%} saved",
        f"scored apart {separate:,.0f} images/s, in one pass {costs.together.scored:,.0f}: "
        f"{costs.scoring_saved:.0%} of the time saved",
        *(f"left out: {name} {reason}" for name, reason in costs.left_out.items()),
    ]
