import dataclasses
import io
import json

import pytest
from rich.console import Console

from arena.bench.cells import Cell
from arena.bench.job import Pace
from arena.bench.machine import MachineFacts
from arena.bench.measure import Figures, Trial
from arena.bench.settings import Settings
from arena.bench.table import Bench, as_json, bench_table, lightning_share, notes, textbook_ratio

MACHINE = MachineFacts(
    processor="a processor",
    capability="AVX2",
    bf16_matrix_units=False,
    gpu=None,
    cores=4,
    threads=4,
    load=0.1,
    python="3.11",
    torch="2.13",
    lightning="2.6",
)


def figures(cell, *seconds, cores=4, parameters=(1_500_000, 250_000)):
    return Figures(cell, Trial(300.0, 700.0, parameters), [Pace(s, cores * s) for s in seconds])


TEXTBOOK = figures(Cell("training", "textbook"), 0.1, 0.2, 0.3)
STYLE = figures(Cell("training", "style"), 0.05, 0.1, 0.1, cores=2)
COMPILED = Figures(
    Cell("training", "style", "fp32", "compiled"), Trial(failed="InvalidCxxCompiler", reason="no compiler"), []
)
FORGE = figures(Cell("sampling", "style"), 0.001, 0.001, 0.001, parameters=None)
FOUND = [TEXTBOOK, STYLE, COMPILED, FORGE]
BENCH = Bench(Settings(), MACHINE, FOUND, {"fp32": 64.0, "bf16": 1.0})


def printed(found):
    console = Console(width=120, color_system=None, file=io.StringIO(), record=True)
    console.print(bench_table(found))
    return [line.split() for line in console.export_text().splitlines() if line.strip()]


def test_a_row_a_cell_with_its_ratios_to_the_textbook_at_the_same_work():
    assert printed(FOUND)[2:-1] == [
        ["training", "textbook", "fp32", "1.50M", "+", "0.25M", "5.0", "25%", "1.00", "1.2", "1.00", "700"],
        ["training", "style", "fp32", "1.50M", "+", "0.25M", "10.0", "12%", "2.00", "5.0", "4.00", "700"],
        ["training", "style", "fp32", "compiled", "InvalidCxxCompiler"],
        ["sampling", "style", "fp32", "1000.0", "0%", "250.0", "700"],
    ]


def test_the_ratio_is_of_the_same_work():
    assert textbook_ratio(STYLE, FOUND) == pytest.approx((2, 4))
    assert textbook_ratio(FORGE, FOUND) is None
    unmeasured = Figures(TEXTBOOK.cell, Trial(failed="slow"), [])
    assert textbook_ratio(STYLE, [unmeasured, STYLE]) is None


def test_what_lightning_adds_is_a_share_of_the_bare_step():
    assert lightning_share(BENCH, "fp32") == pytest.approx(0.01)  # 64 ms of 64 images at 10 a second
    assert lightning_share(BENCH, "bf16") is None


def test_the_notes_name_machine_failures_and_a_busy_one():
    said = "\n".join(notes(BENCH))
    assert "a processor (AVX2, without bf16 matrix units), 4 threads on 4 cores, load 0.1" in said
    assert "Lightning adds 64.00 ms to a step in fp32, 1.00% of a bare step of style" in said
    assert "training style fp32 compiled: InvalidCxxCompiler: no compiler" in said
    assert "others are at work" not in said
    busy = dataclasses.replace(BENCH, machine=dataclasses.replace(MACHINE, load=3.0))
    assert "others are at work" in "\n".join(notes(busy))


def test_json_has_the_documented_keys():
    document = json.loads(as_json(BENCH))
    assert set(document) == {"machine", "settings", "lightning", "cells"}
    assert document["settings"] == {"seconds": 10.0, "resolution": 32, "batch": 64, "width": 96}
    assert document["machine"]["cores"] == 4
    assert document["lightning"]["fp32"] == {"milliseconds": 64.0, "share": pytest.approx(0.01)}
    documented = as_json.__doc__ or ""
    for row in document["cells"]:
        assert all(f"``{key}``" in documented for key in row)
    style, compiled = document["cells"][1:3]
    assert style["images_per_second"] == pytest.approx(10)
    assert style["images_per_processor_second"] == pytest.approx(5)
    assert style["textbook_ratio"] == pytest.approx(2)
    assert style["textbook_processor_ratio"] == pytest.approx(4)
    assert style["seconds_per_image"] == [0.05, 0.1, 0.1]
    assert style["failed"] is None
    assert style["parameters"] == [1_500_000, 250_000]
    assert compiled["failed"] == "InvalidCxxCompiler"
    assert compiled["images_per_second"] is None
