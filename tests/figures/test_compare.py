import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from arena.answer.answer import answer_of, answers
from arena.answer.conditions import conditions
from arena.answer.runs import read_run
from arena.figures.compare import compare, short_names
from arena.figures.ladder import STRONGEST, YEARS, ladder, ladder_entry
from arena.figures.marks import mark_of
from tests.figures.drawable import curves
from tests.synthetic import synthetic_run

CONF = Path(__file__).parents[2] / "conf"
GAN2014, DCGAN, STYLE, R3GAN = sorted(YEARS, key=lambda target: YEARS[target])
FOLDER = "arena.generators.folder.FolderGenerator"
TECHNIQUES = {"cnn": 0.6, "forest": 0.9, "stack": 0.8}


def run_of(path, target, *, seed=0, generator=None, **settings):
    """A synthetic run whose config names that generator."""
    synthetic_run(
        path, **({"techniques": TECHNIQUES, "rounds": 0, "n_real": 40, "n_fake": 40, "seed": seed} | settings)
    )
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["generator"] = {"_target_": target} | (generator or {})
    (path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return read_run(path)


@pytest.fixture
def of_generators(tmp_path):
    return [answer_of([run_of(tmp_path / str(k), target)]) for k, target in enumerate((R3GAN, FOLDER, GAN2014, STYLE))]


def test_every_generator_of_the_ladder_has_a_year():
    ladders = [yaml.safe_load(path.read_text()) for path in (CONF / "ladder").glob("*.yaml")]
    names = [next(d["override /generator"] for d in one["defaults"] if "override /generator" in d) for one in ladders]
    targets = {yaml.safe_load((CONF / "generator" / f"{name}.yaml").read_text())["_target_"] for name in names}
    assert targets == set(YEARS)


def test_generators_stand_at_their_years_and_one_without_apart(of_generators):
    figure = ladder([ladder_entry(answer) for answer in of_generators], 0.05)
    for axes in figure.axes:
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels == ["gan2014\n2014", "style\n2020", "r3gan\n2024", "folder"]
        years = axes.get_xticks().tolist()
        assert years[:3] == [2014, 2020, 2024]
        assert years[3] > 2025


def test_the_marks_are_the_aucs_and_distances_measured(of_generators):
    entries = sorted(map(ladder_entry, of_generators), key=lambda entry: entry.year or 9999)
    left, right = ladder(entries, 0.05).axes
    for number, name in enumerate(TECHNIQUES):
        ((_, aucs),) = curves(left, mark_of(number))
        np.testing.assert_allclose(aucs, [min(entry.points[name].value, 0.999) for entry in entries])
    ((_, distances),) = curves(right, mark_of(0))
    np.testing.assert_allclose(distances, [0.01] * 4)


def test_of_many_techniques_the_strongest_and_the_stack_are_drawn(tmp_path):
    many = dict.fromkeys("abcdefg", 0.7) | {"stack": 0.8}
    entry = ladder_entry(answer_of([run_of(tmp_path / "run", STYLE, techniques=many)]))
    assert entry.points[STRONGEST] == entry.points[entry.technique]
    keys = {text.get_text() for text in ladder([entry], 0.05).legends[0].get_texts()}
    assert keys & {*many, STRONGEST} == {STRONGEST, "stack"}


@pytest.mark.slow
def test_the_distance_of_several_runs_has_the_error_of_the_runs(tmp_path):
    distances = (0.01, 0.02, 0.03)
    runs = [
        run_of(tmp_path / str(k), STYLE, seed=k, quality={"kernel_distance": distance})
        for k, distance in enumerate(distances)
    ]
    distance = ladder_entry(answer_of(runs)).distance
    half = 4.302653 * 0.01 / np.sqrt(3)  # t of 2 degrees of freedom; the deviation of 0.01, 0.02, 0.03 is 0.01
    assert distance == pytest.approx((0.02, 0.02 - half, 0.02 + half))
    alone = ladder_entry(answer_of(runs[:1])).distance
    assert (alone.low, alone.high) == pytest.approx((0.008, 0.012))  # two standard errors


@pytest.mark.slow
def test_a_ladder_is_drawn_where_generators_differ_and_have_the_same_access(tmp_path):
    runs = [
        run_of(tmp_path / f"{access}{k}", target, access=access)
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
        run_of(tmp_path / f"{access}{seed}", STYLE, access=access, seed=seed, rounds=1)
        for access in ("white_box", "none")
        for seed in (0, 1)
    ]
    compare(answers(conditions(runs)), tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "comparison.csv").read_text().splitlines()))
    assert [(row["condition"], row["runs"], row["round"]) for row in rows] == [
        (f"access={access}", "2", round_index) for access in ("white_box", "none") for round_index in ("0", "1")
    ]
    assert all(float(row["auc_low"]) <= float(row["auc"]) <= float(row["auc_high"]) for row in rows)
    assert {float(row["quality"]) for row in rows} == {0.05}


def test_long_names_give_way_to_access_and_generator(tmp_path):
    settings = [{"width": width, "a_setting_of_a_long_name": width} for width in (8, 16)]
    runs = [run_of(tmp_path / str(k), STYLE, generator=one) for k, one in enumerate(settings)]
    assert short_names(conditions(runs)) == ["access=white_box, style #1", "access=white_box, style #2"]
    few = [run_of(tmp_path / access, STYLE, access=access) for access in ("white_box", "none")]
    assert short_names(conditions(few)) == ["access=white_box", "access=none"]
