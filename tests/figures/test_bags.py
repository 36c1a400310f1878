import numpy as np
import pytest

from arena.answer.distance import distance
from arena.answer.runs import read_run
from arena.figures.axes import PALE
from arena.figures.bags import TOP, bags
from arena.figures.marks import HIGHLIGHTS
from tests.figures.drawable import curves
from tests.synthetic import synthetic_run


@pytest.fixture(scope="module")
def distances(tmp_path_factory):
    techniques = {"cnn": 0.9, "dct": 0.5, "forest": 0.7, "stack": 0.99}
    run = read_run(synthetic_run(tmp_path_factory.mktemp("bags") / "run", techniques=techniques, rounds=0, n_real=300))
    return [distance([run], technique) for technique in techniques]


def test_the_curves_drawn_are_those_measured(distances):
    left, right = bags(distances, ["stack", "cnn"]).axes
    for number, chosen in enumerate((distances[3], distances[0])):
        mark, measured = HIGHLIGHTS[number], chosen.bags.bags
        ((n, height),) = curves(left, mark)
        assert n == pytest.approx([bag.n * (1 + 0.05 * number) for bag in measured])
        assert 1 - 10**-height == pytest.approx([min(TOP, bag.right.value) for bag in measured])
        assert curves(right, mark)[0][1] == pytest.approx([bag.auc.value for bag in measured])
        (bound,) = [line for line in left.lines if (line.get_linestyle(), line.get_color()) == ("--", mark.colour)]
        n, height = np.asarray(bound.get_xdata()), np.asarray(bound.get_ydata())
        assert 1 - 10**-height == pytest.approx([chosen.bags.bound(k) for k in n])


def test_the_numbers_are_read_off(distances):
    keys = [text.get_text() for text in bags(distances, ["cnn", "dct"]).legends[0].get_texts()]
    measured = distances[0].images.measured
    assert keys[0].startswith(f"cnn: {measured.n} ({measured.low} or more) for 99%; Chernoff: ")
    assert keys[1].startswith(f"dct: more than {distances[1].images.most} for 99%; Chernoff: ")
    assert keys[-1] == "other techniques"


def test_two_are_drawn_in_full_and_the_rest_in_grey(distances):
    panel = bags(distances, ["stack", "cnn", "unknown"]).axes[1]
    assert [len(curves(panel, mark)) for mark in HIGHLIGHTS] == [1, 1, 0]
    assert len([line for line in panel.lines if line.get_color() == PALE]) == 2


def test_nothing_measured_is_drawn_as_nothing():
    assert bags([], ["stack"]).axes
