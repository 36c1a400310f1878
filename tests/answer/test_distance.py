import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from arena.answer.distance import LevelTried, distance, margin, margins
from arena.answer.runs import read_run
from arena.core.degradations import LADDERS, THRESHOLD, Degradation
from arena.metrics.interval import Interval
from tests.answer.gaussians import true_jensen_shannon, true_total_variation
from tests.synthetic import synthetic_run

pytestmark = pytest.mark.slow

SEPARATION = 1.8123876  # of an AUC of 0.9: sqrt(2) times its normal quantile


def a_run(path, **settings):
    return read_run(synthetic_run(path, rounds=0, techniques={"cnn": 0.9, "forest": 0.5}, **settings))


def test_everything_of_a_run(tmp_path):
    run = a_run(tmp_path / "run", n_real=540, n_fake=1024, margins={"noise": {8: 0.8, 32: 0.6}})
    found = distance([run], "cnn")
    truth = true_total_variation(SEPARATION)
    assert found.total_variation is not None
    assert truth - 0.1 < found.total_variation.low < truth
    assert found.jensen_shannon_bits is not None
    assert 0.25 < found.jensen_shannon_bits.low < true_jensen_shannon(SEPARATION)
    assert found.images is not None
    assert found.images.measured.n == pytest.approx((4.6527 / SEPARATION) ** 2, abs=2)
    assert found.margins["noise"].level == pytest.approx(11.3, rel=0.2)
    assert found == distance([run], "cnn")  # and the same every time


def test_a_technique_that_sees_nothing_says_so(tmp_path):
    found = distance([a_run(tmp_path / "run", n_real=300, n_fake=300)], "forest")
    assert found.total_variation is not None
    assert found.total_variation.low < 0.03
    assert found.images is not None
    assert found.images.measured.n is None
    assert found.reasons[0].startswith("images for 99%: more than the 12 images")
    assert found.reasons[-1] == "margins: no degradation was tried"


@pytest.mark.parametrize(
    ("settings", "technique", "reason"),
    [
        ({"unrecorded": ("cnn",)}, "cnn", "cnn: fewer than 3 fresh judges on record"),
        ({"n_real": 18}, "cnn", "cnn: fold 0: too few images, expected 8 of each class or more"),
        ({}, "bag", "bag: its scores are of many images together, not of one"),
    ],
)
def test_what_cannot_be_said_is_said(tmp_path, settings, technique, reason):
    found = distance([a_run(tmp_path / "run", **({"n_real": 60, "n_fake": 60} | settings))], technique)
    assert (found.total_variation, found.jensen_shannon_bits, found.bags, found.images) == (None, None, None, None)
    assert found.reasons[0] == reason


def test_over_runs(tmp_path):
    runs = [a_run(tmp_path / str(seed), seed=seed, n_real=200, n_fake=200) for seed in range(3)]
    found = distance(runs, "cnn")
    assert found.total_variation is not None
    assert 0.3 < found.total_variation.low < true_total_variation(SEPARATION)
    assert found.bags is not None
    assert len(found.bags.moments) == 3


def tried(*levels, width=0.04):
    return [LevelTried(level, Interval(auc, auc - width, auc + width).clipped()) for level, auc in levels]


@pytest.mark.parametrize(
    ("degradation", "levels", "expected"),
    [
        # Halfway in AUC is halfway in the logarithm: sqrt(16 * 64).
        ("noise", [(0, 1.0), (16, 0.9), (64, 0.6)], ("between", 32.0)),
        ("noise", [(0, 1.0), (64, 0.6), (16, 0.9)], ("between", 32.0)),  # in any order
        ("blur", [(0, 1.0), (0.5, 0.85), (1, 0.65), (2, 0.5)], ("between", np.sqrt(0.5))),
        # The quality of a JPEG runs downward, in equal steps.
        ("jpeg", [(100, 1.0), (90, 0.9), (50, 0.65)], ("between", 66.0)),
        ("jpeg", [(100, 1.0), (95, 0.7), (50, 0.5)], ("below the mildest tried", None)),
        ("downscale", [(1, 1.0), (1.25, 0.99), (8, 0.8)], ("beyond the worst tried", None)),
        ("noise", [(0, 0.7), (2, 0.6), (4, 0.55)], ("undegraded", None)),
        # Rising again does not count: it has fallen before 4.
        ("noise", [(0, 1.0), (2, 0.9), (4, 0.6), (8, 0.85), (16, 0.5)], ("between", np.sqrt(8))),
        ("noise", [(0, 1.0), (2, 0.9), (4, 0.75), (8, 0.6)], ("between", 4.0)),  # at the threshold is fallen
        ("noise", [(0, 1.0), (32, 0.6)], ("below the mildest tried", None)),
    ],
)
def test_where_detection_falls(degradation, levels, expected):
    found = margin(degradation, tried(*levels))
    assert found.fall == expected[0]
    assert found.level == (None if expected[1] is None else pytest.approx(expected[1]))
    assert (found.reason == "") == (found.level is not None)


@pytest.mark.parametrize(
    ("levels", "width", "expected"),
    [
        ([(0, 1.0), (16, 0.9), (64, 0.6)], 0.04, (16 * 4 ** (11 / 30), 16 * 4 ** (19 / 30))),
        ([(0, 1.0), (16, 0.77), (64, 0.6)], 0.04, (None, 16 * 4 ** (6 / 17))),  # low is below 0.75 at 16 already
        ([(0, 1.0), (16, 0.9), (64, 0.73)], 0.04, (16 * 4 ** (11 / 17), None)),  # high is above it at 64 yet
        ([(0, 1.0), (16, 0.9), (64, 0.77)], 0.04, (16 * 4 ** (11 / 13), None)),  # beyond, but hardly below this
        ([(0, 1.0), (16, 0.9), (64, 0.85)], 0.04, (64, None)),  # beyond the worst
        ([(0, 1.0), (16, 0.6), (64, 0.5)], 0.04, (None, 16)),  # below the mildest
        ([(0, 0.6), (16, 0.6), (64, 0.5)], 0.04, (None, 16)),  # not seen undegraded either
    ],
)
def test_the_interval_is_that_of_the_auc(levels, width, expected):
    found = margin("noise", tried(*levels, width=width))
    assert [found.mild, found.harsh] == [None if end is None else pytest.approx(end) for end in expected]


@given(st.lists(st.floats(0.5, 1.0), min_size=3, max_size=7), st.sampled_from(sorted(LADDERS)), st.data())
def test_the_level_lies_between_the_levels_around_it(aucs, degradation, data):
    ladder = LADDERS[degradation]
    levels = data.draw(st.permutations(ladder.levels).map(lambda all_levels: all_levels[: len(aucs)]))
    found = margin(degradation, tried((ladder.none, 1.0), *zip(levels, aucs, strict=True)))
    if found.level is not None:
        fallen = next(k for k, its in enumerate(found.tried) if its.auc.value <= THRESHOLD)
        around = sorted(its.level for its in found.tried[fallen - 1 : fallen + 1])
        assert around[0] - 1e-9 <= found.level <= around[1] + 1e-9
        harsher = -1 if degradation == "jpeg" else 1
        assert found.mild is None or harsher * (found.level - found.mild) >= -1e-9
        assert found.harsh is None or harsher * (found.harsh - found.level) >= -1e-9


def test_the_law_of_noise_on_a_signal():
    """A mean of size d in noise s: AUC = Phi(d / sqrt(2) / s); 0.75 at s = d / sqrt(2) / 0.674, read off the ladder."""
    d = 12.0
    levels = [(s, float(norm.cdf(d / np.sqrt(2) / s))) for s in LADDERS["noise"].levels]
    found = margin("noise", tried((0, 1.0), *levels, width=0.0))
    assert found.level == pytest.approx(d / np.sqrt(2) / norm.ppf(0.75), rel=0.05)


MARGINS: dict[Degradation, dict[float, float]] = {"noise": {4: 0.99, 16: 0.9, 64: 0.6}, "jpeg": {90: 0.97, 50: 0.93}}


def test_a_run_is_read(tmp_path):
    run = read_run(synthetic_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.995, "stack": 0.5}, margins=MARGINS))
    found = margins([run], "cnn")
    assert set(found) == {"noise", "jpeg"}
    assert [its.level for its in found["noise"].tried] == [0, 4, 16, 64]
    assert found["noise"].tried[0].auc.value == pytest.approx(0.995, abs=0.005)
    assert found["noise"].level is not None
    assert found["noise"].level == pytest.approx(32, rel=0.15)
    assert found["noise"].mild is not None
    assert found["noise"].harsh is not None
    assert found["noise"].mild < found["noise"].level < found["noise"].harsh
    assert found["jpeg"].reason == "beyond the worst tried, 50"
    assert "without any" in margins([run], "stack")["noise"].reason


def test_of_several_runs_the_median(tmp_path):
    """Whatever levels each bisection tried; a run where it never fell is the harshest."""
    tries: list[dict[float, float]] = [{16: 0.9, 64: 0.6}, {8: 0.9, 32: 0.6}, {64: 0.97, 128: 0.9}]
    runs = [
        read_run(
            synthetic_run(tmp_path / str(k), seed=k, rounds=0, techniques={"cnn": 0.995}, margins={"noise": levels})
        )
        for k, levels in enumerate(tries)
    ]
    each = [margins([run], "cnn")["noise"] for run in runs]
    found = margins(runs, "cnn")["noise"]
    assert found.level == each[0].level
    assert found.mild == each[1].mild
    assert (each[2].fall, found.harsh) == ("beyond the worst tried", None)


def test_of_runs_that_see_nothing_the_margin_is_none(tmp_path):
    runs = [
        read_run(
            synthetic_run(tmp_path / str(k), seed=k, rounds=0, techniques={"cnn": 0.6}, margins={"noise": {4: 0.5}})
        )
        for k in range(2)
    ]
    found = margins(runs, "cnn")["noise"]
    assert (found.fall, found.level, found.mild, found.harsh) == ("undegraded", None, None, 4)
