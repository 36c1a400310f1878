from pathlib import Path

import numpy as np
import pytest
import yaml

from arena.answer.answer import answer_of
from arena.figures.ladder import STRONGEST, YEARS, ladder, ladder_entry
from arena.figures.marks import mark_of
from tests.figures.drawable import curves, generated_run, keys

CONF = Path(__file__).parents[2] / "conf"
GAN2014, DCGAN, STYLE, R3GAN = sorted(YEARS, key=lambda target: YEARS[target])
FOLDER = "arena.generators.folder.FolderGenerator"
TECHNIQUES = {"cnn": 0.6, "stack": 0.8}


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    """Entries in the order of their years, one without a year last."""
    folder = tmp_path_factory.mktemp("ladder")
    return [
        ladder_entry(answer_of([generated_run(folder / str(k), target, techniques=TECHNIQUES)]))
        for k, target in enumerate((GAN2014, STYLE, R3GAN, FOLDER))
    ]


def test_every_generator_of_the_ladder_has_a_year():
    ladders = [yaml.safe_load(path.read_text()) for path in (CONF / "ladder").glob("*.yaml")]
    names = [next(d["override /generator"] for d in one["defaults"] if "override /generator" in d) for one in ladders]
    targets = {yaml.safe_load((CONF / "generator" / f"{name}.yaml").read_text())["_target_"] for name in names}
    assert targets == set(YEARS)


def test_generators_stand_at_their_years_and_one_without_apart(entries):
    for axes in ladder(entries[::-1], 0.05).axes:
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels == ["gan2014\n2014", "style\n2020", "r3gan\n2024", "folder"]
        years = axes.get_xticks().tolist()
        assert years[:3] == [2014, 2020, 2024]
        assert years[3] > 2025


def test_the_marks_are_the_aucs_and_distances_measured(entries):
    left, right = ladder(entries, 0.05).axes
    for number, name in enumerate(TECHNIQUES):
        ((_, aucs),) = curves(left, mark_of(number))
        np.testing.assert_allclose(aucs, [min(entry.points[name].value, 0.999) for entry in entries])
    ((_, distances),) = curves(right, mark_of(0))
    np.testing.assert_allclose(distances, [0.01] * 4)


def test_of_many_techniques_the_strongest_and_the_stack_are_drawn(tmp_path):
    many = dict.fromkeys("abcdefg", 0.7) | {"stack": 0.8}
    entry = ladder_entry(answer_of([generated_run(tmp_path / "run", STYLE, techniques=many)]))
    assert entry.points[STRONGEST] == entry.points[entry.technique]
    assert {*keys(ladder([entry], 0.05))} & {*many, STRONGEST} == {STRONGEST, "stack"}


@pytest.mark.slow
def test_the_distance_of_several_runs_has_the_error_of_the_runs(tmp_path):
    distances = (0.01, 0.02, 0.03)
    runs = [
        generated_run(tmp_path / str(k), STYLE, seed=k, quality={"kernel_distance": distance})
        for k, distance in enumerate(distances)
    ]
    distance = ladder_entry(answer_of(runs)).distance
    half = 4.302653 * 0.01 / np.sqrt(3)  # t of 2 degrees of freedom; the deviation of 0.01, 0.02, 0.03 is 0.01
    assert distance == pytest.approx((0.02, 0.02 - half, 0.02 + half))
    alone = ladder_entry(answer_of(runs[:1])).distance
    assert (alone.low, alone.high) == pytest.approx((0.008, 0.012))  # two standard errors
