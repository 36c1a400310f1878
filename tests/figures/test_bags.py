import numpy as np
import pytest

from arena.answer.limit.distance import distance
from arena.answer.runs import read_run
from arena.figures.axes import png
from arena.figures.bags import TOP, bags
from tests.synthetic import synthetic_run


@pytest.fixture(scope="module")
def distances(tmp_path_factory):
    techniques = {"cnn": 0.9, "dct": 0.5, "forest": 0.7, "stack": 0.99}
    run = read_run(synthetic_run(tmp_path_factory.mktemp("bags") / "run", techniques=techniques, rounds=0, n_real=300))
    return [distance(run, technique) for technique in techniques]


def drawn(axes, name):
    (line,) = [line for line in axes.lines if line.get_gid() == name]
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def test_what_is_drawn_is_what_was_measured(distances):
    figure = bags(distances, ["stack", "cnn"])
    for number, its in enumerate((distances[3], distances[0])):
        n, height = drawn(figure.axes[0], f"{its.technique}/sure")
        assert n == pytest.approx([found.n * (1 + 0.05 * number) for found in its.bags.bags])
        assert 1 - 10**-height == pytest.approx([min(TOP, found.sure) for found in its.bags.bags])
        assert drawn(figure.axes[1], f"{its.technique}/auc")[1] == pytest.approx([b.auc for b in its.bags.bags])
        n, height = drawn(figure.axes[0], f"{its.technique}/chernoff")
        assert 1 - 10**-height == pytest.approx([its.bags.bound(k) for k in n])


def test_the_numbers_are_read_off(distances):
    said = [text.get_text() for text in bags(distances, ["cnn", "dct"]).legends[0].get_texts()]
    measured = distances[0].images.measured
    assert said[0].startswith(f"cnn: {measured.n} ({measured.low} or more) for 99%; Chernoff: ")
    assert said[1].startswith(f"dct: more than {distances[1].images.most} for 99%; Chernoff: ")
    assert said[-1] == "other techniques"


def test_two_in_full_and_the_rest_in_grey(distances):
    figure = bags(distances, ["stack", "cnn", "nobody"])
    marked = [line for line in figure.axes[1].lines if line.get_gid()]
    assert [line.get_gid() for line in marked] == ["stack/auc", "cnn/auc"]
    assert len({(line.get_marker(), line.get_markerfacecolor()) for line in marked}) == 2
    assert len(figure.axes[1].lines) == 2 + 2 + 1  # marked, grey, and the line at 1/2


def test_drawn_twice_it_is_the_same(distances):
    assert png(bags(distances, ["stack"])) == png(bags(distances, ["stack"]))


def test_nothing_measured_is_drawn_as_nothing():
    assert bags([], ["stack"]).axes
