"""The scripts of experiments/ run from a checkout."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scipy.stats import ttest_1samp

from arena.generators.layers import LRELU_GAIN, ModulatedConv
from arena.generators.style import StyleGenerator

SPEED = Path(__file__).parents[1] / "experiments" / "speed"


@pytest.fixture
def textbook(monkeypatch):
    monkeypatch.syspath_prepend(SPEED)
    import textbook  # type: ignore[import-not-found]

    return textbook


def test_the_textbook_convolves_each_image_as_the_package_does(textbook):
    rng = torch.Generator().manual_seed(0)
    x, style, ours = torch.randn(3, 5, 8, 8, generator=rng), torch.randn(3, 5, generator=rng), ModulatedConv(5, 7)
    # The layer's kernel includes the gain of the leaky ReLU that follows. The textbook has it in the activation.
    expected = textbook.modulated_conv2d(x, ours.weight, style) * LRELU_GAIN
    torch.testing.assert_close(ours(x, style), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("resolution", "width"), [(8, 16), (64, 24)])
def test_the_textbook_has_as_many_parameters_as_the_package(textbook, resolution, width):
    shape = {"resolution": resolution, "channels": 3, "levels": 256, "width": width, "z_dim": 8}
    ours = StyleGenerator(**shape, minibatch_group=4)
    theirs = textbook.TextbookGenerator(**shape, mapping_depth=2, mixing=0.5)
    for one, other in ((theirs, ours), (theirs.discriminator(resolution), ours.discriminator(resolution))):
        counts = [sum(parameter.numel() for parameter in network.parameters()) for network in (one, other)]
        assert counts[0] == pytest.approx(counts[1], rel=0.01)


@pytest.mark.slow
def test_speeds_are_compared(tmp_path):
    size = ["--seconds", "0.01", "--resolution", "8", "--batch", "4", "--width", "8", "--only", "gan2014"]
    command = [sys.executable, str(SPEED / "compare.py"), *size, "--json", str(tmp_path / "speed.json")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "textbook" in done.stdout
    rows = json.loads((tmp_path / "speed.json").read_text())
    assert {(row["work"], row["name"]) for row in rows} == {
        (work, name) for work in ("training", "sampling") for name in ("textbook", "gan2014")
    }
    assert all(row["failed"] is None and row["peak_memory_mib"] > 50 for row in rows)


def test_a_run_is_identical_to_itself(finished):
    compare = [sys.executable, str(SPEED.parent / "identical" / "compare.py")]
    same = subprocess.run([*compare, str(finished.run), str(finished.run)], capture_output=True, text=True)
    assert same.returncode == 0, same.stdout
    assert "0 differ" in same.stdout


def test_responses_to_detectors_are_compared_with_none_by_seed(tmp_path):
    """The interval is the wider one of both: by the spread of three seeds, and by the errors of each."""
    attacks = SPEED.parent / "attacks"
    line = {
        "precision": "fp32",
        "held_out": "",
        "frozen": {"cnn": 0.6},
        "live": {},
        "error": {"cnn": 0.001, "stack": 0.001},
    }
    cost = {"tera_macs": 1.0, "seconds": 1.0, "detector_updates": 0, "queries": 0}
    quality = {"kernel_distance": 0.03, "kernel_distance_error": 0.003, "recall": 0.8, "memorisation": 0.5}
    lines = [
        line
        | {"condition": condition, "seed": seed, "fresh": {"cnn": auc, "stack": auc}, "cost": cost, "quality": quality}
        for condition, aucs in (
            ("none", (0.95, 0.94, 0.96)),
            ("live", (0.93, 0.93, 0.93)),
            ("random", (0.94, 0.93, 0.95)),
        )
        for seed, auc in enumerate(aucs)
    ]
    (tmp_path / "measured.jsonl").write_text("\n".join(map(json.dumps, lines)))
    command = [sys.executable, str(attacks / "show.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    rows = {
        (row["condition"], row["control"], row["column"]): row
        for row in csv.DictReader((tmp_path / "ablation.csv").read_text().splitlines())
    }
    assert rows["none", "none", "cnn"]["difference"] == ""
    of_live = {end: float(rows["live", "none", "cnn"][end]) for end in ("mean", "difference", "low", "high")}
    gaps = [-0.02, -0.01, -0.03]
    expected = ttest_1samp(gaps, 0).confidence_interval()
    assert of_live["difference"] == pytest.approx(-0.02)
    assert (of_live["low"], of_live["high"]) == pytest.approx(tuple(expected), abs=1e-5)
    assert "| live | 0.930 (-0.020" in done.stdout
    assert float(rows["live", "random", "cnn"]["difference"]) == pytest.approx(-0.01)
    assert '| live less "random" | 0.930 (-0.010' in done.stdout
    assert (tmp_path / "ablation.png").stat().st_size > 0
