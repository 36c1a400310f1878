import subprocess
import sys

import pytest

from arena.answer.distance import distance
from arena.answer.runs import read_run
from arena.core.errors import ArenaError
from tests.answer.gaussians import true_jensen_shannon, true_total_variation
from tests.synthetic import synthetic_run

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


def test_scores_that_were_altered_are_refused(tmp_path):
    run = a_run(tmp_path / "run", n_real=60, n_fake=60)
    (run.path / run.fresh("cnn")[0].scores.file).write_bytes(b"")
    with pytest.raises(ArenaError, match="not the scores of its record"):
        distance([run], "cnn")


def test_over_runs(tmp_path):
    runs = [a_run(tmp_path / str(seed), seed=seed, n_real=200, n_fake=200) for seed in range(3)]
    found = distance(runs, "cnn")
    assert found.total_variation is not None
    assert 0.3 < found.total_variation.low < true_total_variation(SEPARATION)
    assert found.bags is not None
    assert len(found.bags.moments) == 3


@pytest.mark.slow
def test_no_torch():
    code = "import sys, arena.answer.distance; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
