"""What was measured, as a table and as JSON."""

import dataclasses
import json
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from arena.bench.cells import TEXTBOOK
from arena.bench.machine import MachineFacts
from arena.bench.measure import Figures
from arena.bench.settings import Settings

HEADINGS = ("work", "of", "precision", "variant", "parameters", "images/s", "±", "x textbook", "peak MiB")


def bench_table(found: Sequence[Figures]) -> Table:
    """One row a cell; where one could not be measured, why."""
    table = Table(box=SIMPLE_HEAD)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in HEADINGS[:4] else "right", no_wrap=True)
    for figures in found:
        cell, trial = figures.cell, figures.trial
        size = "" if trial.parameters is None else " + ".join(f"{n / 1e6:.2f}M" for n in trial.parameters)
        row = [cell.work, cell.name, cell.precision, "" if cell.variant == "plain" else cell.variant, size]
        if trial.failed is not None:
            table.add_row(*row, trial.failed, "", "", "")
            continue
        ratio = textbook_ratio(figures, found)
        times = "" if ratio is None else f"{ratio:.2f}"
        speed, spread = f"{figures.images_per_second:.1f}", f"{figures.spread:.0%}"
        table.add_row(*row, speed, spread, times, f"{trial.peak_memory_mib:.0f}")
    return table


def textbook_ratio(figures: Figures, found: Sequence[Figures]) -> float | None:
    """How many times as fast as the textbook port at the same work; None where that was not measured."""
    for other in found:
        if other.cell.name == TEXTBOOK and other.cell.work == figures.cell.work and other.paces:
            return figures.images_per_second / other.images_per_second
    return None


def lightning_cost(found: Sequence[Figures]) -> dict[str, float]:
    """By precision: the share of time Lightning's Trainer adds to the bare loop of the same steps."""
    measured = {figures.cell: figures for figures in found if figures.paces}
    costs = {}
    for cell, figures in measured.items():
        bare = measured.get(dataclasses.replace(cell, variant="plain"))
        if cell.variant == "lightning" and bare is not None:
            costs[cell.precision] = figures.slower_than(bare)
    return costs


def notes(found: Sequence[Figures], machine: MachineFacts) -> list[str]:
    """What the table does not say: the machine, Lightning's cost, what kept cells from being measured."""
    idle = max(figures.trial.idle_memory_mib for figures in found)
    lines = [str(machine)]
    if machine.busy:
        lines.append("others are at work on this machine: compare figures of this run with each other, and no others")
    lines += [
        f"Lightning over a bare loop: {cost:+.1%} in {precision}" for precision, cost in lightning_cost(found).items()
    ]
    lines.append(f"peak MiB: of a process that does only this; one that does nothing has {idle:.0f}")
    lines += [
        f"{figures.cell}: {figures.trial.failed}: {figures.trial.reason}" for figures in found if figures.trial.failed
    ]
    return lines


def as_json(found: Sequence[Figures], settings: Settings, machine: MachineFacts) -> str:
    """The same and more.

    ``machine`` and ``settings`` are the fields of ``MachineFacts`` and ``Settings``. ``lightning`` is what Lightning
    adds to a bare loop, as a share, by precision. Each of ``cells`` has ``work``, ``name``, ``precision``, ``variant``;
    ``parameters`` of generator and discriminator, or null; ``failed`` and ``reason``, null where it was measured; and,
    null where it was not, ``images_per_second``, ``images_per_processor_second`` (all threads together), ``spread``
    (half the distance of the quartiles over the median), ``textbook_ratio``, ``peak_memory_mib``, ``idle_memory_mib``;
    ``seconds_per_image`` is a list of every visit's, in order.
    """
    rows = [_row(figures, found) for figures in found]
    document = {
        "machine": dataclasses.asdict(machine),
        "settings": dataclasses.asdict(settings),
        "lightning": lightning_cost(found),
        "cells": rows,
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _row(figures: Figures, found: Sequence[Figures]) -> dict[str, object]:
    trial, measured = figures.trial, bool(figures.paces)
    return {
        **dataclasses.asdict(figures.cell),
        "parameters": trial.parameters,
        "failed": trial.failed,
        "reason": trial.reason or None,
        "images_per_second": figures.images_per_second if measured else None,
        "images_per_processor_second": figures.images_per_processor_second if measured else None,
        "spread": figures.spread if measured else None,
        "textbook_ratio": textbook_ratio(figures, found) if measured else None,
        "peak_memory_mib": trial.peak_memory_mib if measured else None,
        "idle_memory_mib": trial.idle_memory_mib if measured else None,
        "seconds_per_image": [pace.seconds for pace in figures.paces],
    }
