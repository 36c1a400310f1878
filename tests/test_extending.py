"""The parts of docs/extending.md take their places in a race and work as the page says."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch
from sklearn.metrics import roc_auc_score

from arena.detectors.gallery import score
from tests.building import tiny_arena
from tests.detectors.planted import EVIDENCE, digits, train

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
FILES = dict(re.findall(r"^`([\w/]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Build a race of overrides, with the files of the page in the places it names."""
    for name, content in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        if file.suffix == ".py":
            module = name.removesuffix(".py").replace("/", ".")
            spec = importlib.util.spec_from_file_location(module, file)
            assert spec is not None
            assert spec.loader is not None
            loaded = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, module, loaded)
            spec.loader.exec_module(loaded)
    search = f"hydra.searchpath=[file://{tmp_path / 'conf'}]"
    return lambda *overrides: tiny_arena(tmp_path / "run", search, "race.rounds=0", *overrides, generator="planted")


def test_every_file_of_the_page_is_tried_here():
    parts = ("detectors/techniques/residual", "generators/noise", "data/tiles")
    leaves = ("detector/residual", "generator/noise", "data/tiles")
    assert set(FILES) == {*(f"arena/{part}.py" for part in parts), *(f"conf/{leaf}.yaml" for leaf in leaves)}
    assert len(FILES) == len(re.findall(r"^```\w+$", PAGE, re.MULTILINE))


def test_the_detector_learns_its_own_artefact(built):
    race = built("+detector@battery.members.residual=residual")
    torch.manual_seed(0)
    detector, (learned, validation, test) = race.members["residual"](**race.shape), digits("dct")
    assert detector.artefact == "checkerboard"
    train(detector, learned, validation)
    assert roc_auc_score(test.labels, score(detector, test.images, EVIDENCE)) > 0.9


def test_the_generator_forges_independent_uniform_pixels(built):
    race = built("generator=noise")
    forged = race.new_generator().forge({"one": 40, "other": 40}, 0, race.generator_reals)
    assert forged["one"].shape == (40, 1, 8, 8)
    assert not torch.equal(forged["one"], forged["other"])
    assert forged["one"].float().mean().abs() < 0.1


def test_the_data_are_disjoint_tiles(built):
    images = built("data=tiles").data.reals
    assert images.images.shape == (520, 3, 32, 32)
    assert images.attributes["photograph"].tolist() == [0.0] * 260 + [1.0] * 260
