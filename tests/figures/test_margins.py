import numpy as np
import pytest

from arena.answer.distance import distance
from arena.answer.runs import read_run
from arena.core.degradations import Degradation
from arena.figures.axes import png
from arena.figures.margins import margin_curves
from arena.figures.marks import HIGHLIGHTS
from tests.figures.drawable import curves
from tests.synthetic import synthetic_run

MARGINS: dict[Degradation, dict[float, float]] = {
    "noise": {4: 0.99, 16: 0.9, 64: 0.6},
    "jpeg": {90: 0.97, 50: 0.93, 10: 0.88},
    "blur": {2: 0.6},
}


@pytest.fixture(scope="module")
def distances(tmp_path_factory):
    techniques = {"cnn": 0.995, "dct": 0.9, "forest": 0.7, "stack": 0.99}
    path = tmp_path_factory.mktemp("margins") / "run"
    run = read_run(synthetic_run(path, techniques=techniques, rounds=0, n_real=200, n_fake=200, margins=MARGINS))
    return [distance([run], technique) for technique in techniques]


def test_one_panel_a_degradation_that_was_tried(distances):
    titles = [axes.get_title(loc="left") for axes in margin_curves(distances, ["stack"]).axes]
    assert [title.split(":")[0] for title in titles if title] == ["noise", "blur", "JPEG"]


def test_the_curves_drawn_are_those_recorded(distances):
    noise, blur, jpeg, _ = margin_curves(distances, ["stack", "cnn"]).axes
    for axes, kind in ((noise, "noise"), (blur, "blur"), (jpeg, "jpeg")):
        undegraded, (x, auc), *_ = curves(axes, HIGHLIGHTS[0])
        assert auc == pytest.approx([tried.auc.value for tried in distances[3].margins[kind].tried[1:]])
        assert (np.diff(x) > 0).all()  # harsher to the right, also where the quality falls
        assert undegraded[0][0] < x[0]
    assert [label.get_text() for label in jpeg.get_xticklabels()] == ["none", "90", "50", "10"]
    assert [label.get_text() for label in noise.get_xticklabels()] == ["none", "4", "16", "64"]


def test_the_level_is_read_off_in_words(distances):
    texts = [[text.get_text() for text in axes.texts] for axes in margin_curves(distances, ["stack", "forest"]).axes]
    margin = distances[3].margins["noise"]
    assert texts[0][0] == f"stack: {margin.level:.3g} ({margin.mild:.3g} to {margin.harsh:.3g})"
    assert texts[0][1] == "forest: 0.75 or less without"
    assert texts[1][0] == "stack: before 2"
    assert texts[2][0] == "stack: beyond 10"


def test_drawn_twice_it_is_the_same(distances):
    assert png(margin_curves(distances, ["stack"])) == png(margin_curves(distances, ["stack"]))


def test_nothing_tried_is_drawn_as_nothing():
    assert margin_curves([], ["stack"]).axes
