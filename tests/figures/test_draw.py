import csv
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arena.answer.answer import answers
from arena.answer.conditions import conditions
from arena.figures.draw import compare, draw_all, short_names
from arena.records.schema import PhaseRecord
from arena.records.store import RecordBook
from tests.building import command
from tests.figures.drawable import drawable_run, generated_run, write_grid
from tests.figures.test_distance import MARGINS
from tests.figures.test_ladder import DCGAN, STYLE
from tests.figures.test_training import CURVE

main = command("figures")

FIGURES = {"timeline", "payoff", "rounds", "quality", "limit", "bags"}
TABLES = {"scores", "game", "quality", "verdict", "tiers"}
EVERYTHING = """
import sys
from pathlib import Path
import matplotlib
from arena.figures.axes import save
from arena.figures.draw import draw_runs
from arena.studies.sensitivity.figure import sensitivity
from arena.studies.sensitivity.search import DetectionLimit
out, size, *runs = sys.argv[1:]
matplotlib.rcParams["font.size"] = float(size)
list(draw_runs(list(map(Path, runs)), Path(out)))
limits = {"blind": (64, None, None), "dull": (3, 4, 3.5), "sharp": (0, 1, 1.0)}
limits = {name: {"a": DetectionLimit(*limit)} for name, limit in limits.items()}
save(sensitivity(limits, {"sharp": "a"}, 64), Path(out) / "sensitivity")
"""


def files_of(figures: set[str], tables: set[str]) -> set[str]:
    """Names of the files of these figures and tables."""
    kinds = [(figures, ("png", "pdf")), (tables, ("csv", "tex"))]
    return {f"{name}.{ending}" for names, endings in kinds for name in names for ending in endings}


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """Runs of one condition, the first with everything that can be drawn."""
    folder, techniques = tmp_path_factory.mktemp("two"), {"cnn": 0.8, "stack": 0.85}
    rich = drawable_run(folder / "0", rounds=1, techniques=techniques, margins=MARGINS)
    write_grid(rich, 1)
    book = RecordBook(rich)
    closing = next(record for record in book.records if isinstance(record, PhaseRecord))
    book.append([*CURVE, dataclasses.replace(closing, phase="warm_up", player="generator")])
    return [rich, drawable_run(folder / "1", rounds=1, techniques=techniques, seed=1)]


@pytest.mark.slow
def test_equal_records_make_equal_files_whatever_the_process(two_runs, tmp_path):
    """No figure depends on the order of a set, on the clock, or on matplotlib's parameters of the caller."""
    files = []
    for hashing, size in (("1", "10"), ("2", "20")):
        out = tmp_path / hashing
        environment = os.environ | {"PYTHONHASHSEED": hashing, "PYTHONPATH": os.pathsep.join(sys.path)}
        command_line = [sys.executable, "-c", EVERYTHING, str(out), size, *map(str, two_runs)]
        subprocess.run(command_line, check=True, env=environment)
        files.append({str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    one, other = files
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    of_folder = {
        folder: {Path(name).name for name in one if Path(name).parent.name == folder} for folder in ("0", "1", "")
    }
    assert of_folder["0"] == files_of(FIGURES | {"training", "mixing", "margins"}, TABLES)
    assert of_folder["1"] == files_of(FIGURES, TABLES)
    assert of_folder[""] == files_of(
        {"sensitivity", "limit", "quality", "frontier"}, {"comparison", "conditions", "frontier"}
    )


@pytest.mark.slow
def test_what_a_run_does_not_have_is_not_drawn(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=0)
    for path in [*(run / "banks").iterdir(), run / "verdict.json"]:
        path.unlink()
    written = {path.name for path in draw_all(run, tmp_path / "out")}
    assert written == files_of({"timeline", "payoff"}, {"scores", "game", "quality"})


@pytest.mark.slow
def test_a_run_under_way_is_drawn_but_not_compared(tmp_path, capsys):
    runs = [drawable_run(tmp_path / "sweep" / str(k), rounds=0, techniques={"cnn": 0.5}, seed=k) for k in (0, 1)]
    (runs[0] / "verdict.json").unlink()
    records = (runs[0] / "records.jsonl").read_text().splitlines(keepends=True)
    phases = [number for number, line in enumerate(records) if '"kind": "phase"' in line]
    (runs[0] / "records.jsonl").write_text("".join(records[: phases[-2] + 1]))
    assert main([*map(str, runs), "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert "0/timeline.png" in out
    assert err.startswith(f"not compared: {runs[0]}: not finished")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_run_that_cannot_be_read_leaves_the_others_to_be_drawn(tmp_path, capsys):
    runs = [drawable_run(tmp_path / "sweep" / str(k), rounds=0, techniques={"cnn": 0.5}, seed=k) for k in (0, 1)]
    (runs[0] / "records.jsonl").write_bytes(b"")
    assert main([str(tmp_path / "sweep"), "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert "1/timeline.png" in out
    assert f"not compared: {runs[0]}" in err


def test_a_run_counts_once(tmp_path, capsys):
    runs = [drawable_run(tmp_path / "sweep" / name, rounds=0, techniques={"cnn": 0.5}) for name in ("a", "b")]
    assert main([*map(str, runs), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "config, seed and data.seed are equal" in err


@pytest.mark.parametrize("content", [None, "no record\n" + '{"kind": "phase"}\n'])
def test_a_path_that_is_no_run_is_one_line_and_exit_code_2(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "records.jsonl").write_text(content)
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert str(tmp_path) in printed


@pytest.mark.slow
def test_a_ladder_is_drawn_where_generators_differ_and_have_the_same_access(tmp_path):
    runs = [
        generated_run(tmp_path / f"{access}{k}", target, access=access)
        for access in ("white_box", "none")
        for k, target in enumerate((DCGAN, STYLE))
    ]
    written = {path.name for path in compare(answers(conditions(runs)), tmp_path / "out")}
    assert {"ladder_white_box.png", "ladder_none.pdf", "quality.png", "comparison.csv", "conditions.tex"} < written
    same = [run for run in runs if "dcgan" in str(run.config["generator"])]
    assert not any(path.name.startswith("ladder") for path in compare(answers(conditions(same)), tmp_path / "other"))


def test_nothing_to_compare_is_nothing_written(tmp_path):
    assert compare([], tmp_path / "out") == []
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_table_holds_every_condition_and_round(tmp_path):
    runs = [
        generated_run(tmp_path / f"{access}{seed}", STYLE, access=access, seed=seed, rounds=1)
        for access in ("white_box", "none")
        for seed in (0, 1)
    ]
    compare(answers(conditions(runs)), tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "comparison.csv").read_text().splitlines()))
    assert [(row["condition"], row["runs"], row["round"]) for row in rows] == [
        (f"access={access}", "2", round_index) for access in ("white_box", "none") for round_index in ("0", "1")
    ]
    assert all(float(row["auc_low"]) <= float(row["auc"]) <= float(row["auc_high"]) for row in rows)
    # The upper bound of 0.01 / 0.08, by Fieller, as in the verdict.
    assert [float(row["quality"]) for row in rows] == pytest.approx([0.1507] * 4, abs=1e-4)


def test_long_names_give_way_to_access_and_generator(tmp_path):
    settings = [{"width": width, "a_setting_of_a_long_name": width} for width in (8, 16)]
    runs = [generated_run(tmp_path / str(k), STYLE, generator=one) for k, one in enumerate(settings)]
    assert short_names(conditions(runs)) == ["access=white_box, style #1", "access=white_box, style #2"]
    matched = generated_run(tmp_path / "matched", STYLE, generator=settings[0] | {"matched": "histogram"})
    assert short_names(conditions([runs[0], matched])) == [
        "access=white_box, style",
        "access=white_box, style, histogram matched",
    ]
    few = [generated_run(tmp_path / access, STYLE, access=access) for access in ("white_box", "none")]
    assert short_names(conditions(few)) == ["access=white_box", "access=none"]


def test_figures_and_report_import_no_torch_and_no_pyplot():
    code = "import sys, arena.figures.draw, arena.report.console, arena.report.page;"
    code += "sys.exit(bool({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
