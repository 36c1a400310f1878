import numpy as np
import pytest

from arena.answer.distance import distance
from arena.answer.runs import read_run
from arena.core.degradations import Degradation
from arena.figures.axes import PALE
from arena.figures.distance import TOP, bags, margin_curves
from arena.figures.marks import HIGHLIGHTS
from tests.figures.drawable import curves, keys, words
from tests.synthetic import synthetic_run

MARGINS: dict[Degradation, dict[float, float]] = {
    "noise": {4: 0.99, 16: 0.9, 64: 0.6},
    "jpeg": {90: 0.97, 50: 0.93, 10: 0.88},
    "blur": {2: 0.6},
}
CNN, DCT, FOREST, STACK = range(4)


@pytest.fixture(scope="module")
def distances(tmp_path_factory):
    techniques = {"cnn": 0.9, "dct": 0.5, "forest": 0.7, "stack": 0.99}
    path = tmp_path_factory.mktemp("distances") / "run"
    run = read_run(synthetic_run(path, techniques=techniques, rounds=0, n_real=300, n_fake=300, margins=MARGINS))
    return [distance([run], technique) for technique in techniques]


def test_the_bags_drawn_are_those_measured(distances):
    left, right = bags(distances, ["stack", "cnn"]).axes
    for number, chosen in enumerate((distances[STACK], distances[CNN])):
        mark, measured = HIGHLIGHTS[number], chosen.bags.bags
        ((n, height),) = curves(left, mark)
        assert n == pytest.approx([bag.n * (1 + 0.05 * number) for bag in measured])
        assert 1 - 10**-height == pytest.approx([min(TOP, bag.right.value) for bag in measured])
        assert curves(right, mark)[0][1] == pytest.approx([bag.auc.value for bag in measured])
        (bound,) = [line for line in left.lines if (line.get_linestyle(), line.get_color()) == ("--", mark.colour)]
        n, height = np.asarray(bound.get_xdata()), np.asarray(bound.get_ydata())
        assert 1 - 10**-height == pytest.approx([chosen.bags.bound(k) for k in n])


def test_the_numbers_of_images_are_read_off(distances):
    labels = keys(bags(distances, ["cnn", "dct"]))
    measured = distances[CNN].images.measured
    assert labels[0].startswith(f"cnn: {measured.n} ({measured.low} or more) for 99%; Chernoff: ")
    assert labels[1].startswith(f"dct: more than {distances[DCT].images.most} for 99%; Chernoff: ")
    assert labels[-1] == "other techniques"


def test_two_are_drawn_in_full_and_the_rest_in_grey(distances):
    panel = bags(distances, ["stack", "cnn", "unknown"]).axes[1]
    assert [len(curves(panel, mark)) for mark in HIGHLIGHTS] == [1, 1, 0]
    assert len([line for line in panel.lines if line.get_color() == PALE]) == 2


def test_one_panel_a_degradation_that_was_tried_with_the_curves_recorded(distances):
    panels = margin_curves(distances, ["stack", "cnn"]).axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert [title.split(":")[0] for title in titles if title] == ["noise", "blur", "JPEG"]
    noise, blur, jpeg, _ = panels
    for axes, kind in ((noise, "noise"), (blur, "blur"), (jpeg, "jpeg")):
        undegraded, (x, auc), *_ = curves(axes, HIGHLIGHTS[0])
        assert auc == pytest.approx([tried.auc.value for tried in distances[STACK].margins[kind].tried[1:]])
        assert (np.diff(x) > 0).all()  # harsher to the right, also where the quality falls
        assert undegraded[0][0] < x[0]
    assert [label.get_text() for label in jpeg.get_xticklabels()] == ["none", "90", "50", "10"]
    assert [label.get_text() for label in noise.get_xticklabels()] == ["none", "4", "16", "64"]


def test_the_level_is_read_off_in_words(distances):
    noise, blur, jpeg, _ = map(words, margin_curves(distances, ["stack", "forest"]).axes)
    margin = distances[STACK].margins["noise"]
    assert noise[0] == f"stack: {margin.level:.3g} ({margin.mild:.3g} to {margin.harsh:.3g})"
    assert noise[1] == "forest: 0.75 or less without"
    assert blur[0] == "stack: before 2"
    assert jpeg[0] == "stack: beyond 10"


@pytest.mark.parametrize("draw", [bags, margin_curves])
def test_nothing_measured_is_drawn_as_nothing(draw):
    assert draw([], ["stack"]).axes
