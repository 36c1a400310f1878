"""Tests with the network of torch-fidelity and random weights."""

import importlib
import importlib.util
import os
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from arena.core.errors import ArenaError
from arena.metrics.features.inception import Inception

spec = importlib.util.find_spec("torch_fidelity")
installed = pytest.mark.skipif(spec is None, reason="needs torch-fidelity")


@pytest.fixture
def library():
    """The module of torch-fidelity's network, without the package's entry, which imports torchvision."""
    assert spec is not None
    package = ModuleType("torch_fidelity")
    package.__path__ = list(spec.submodule_search_locations or [])
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "torch_fidelity"}
    sys.modules["torch_fidelity"] = package
    yield importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    for name in [name for name in sys.modules if name.split(".")[0] == "torch_fidelity"]:
        del sys.modules[name]
    sys.modules.update(kept)


@pytest.fixture
def state(library, monkeypatch):
    monkeypatch.setattr(library, "load_state_dict_from_url", lambda *args, **kwargs: {})
    with monkeypatch.context() as patched:
        patched.setattr(torch.nn.Module, "load_state_dict", lambda *args, **kwargs: None)
        network = library.FeatureExtractorInceptionV3("random", ["2048"], verbose=False)
    return network.state_dict()


@installed
def test_features_come_from_local_weights(state, tmp_path):
    torch.save(state, tmp_path / "weights.pth")
    save_file(state, tmp_path / "weights.safetensors")
    Inception(str(tmp_path / "weights.safetensors")).check()
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    features = Inception(str(tmp_path / "weights.pth")).fit(images)
    values = features(images)
    assert values.shape == (2, 2048)
    assert values.dtype == np.float32
    grey = features(images[:1, :1])
    np.testing.assert_allclose(features(images[:1, :1].repeat(1, 3, 1, 1)), grey)


class Malicious:
    def __reduce__(self):
        return (os._exit, (3,))  # sys.exit is replaced where a run is tracked


@installed
@pytest.mark.parametrize("content", ["missing", "a pickle", "text", "other weights"])
def test_bad_weights_are_one_line(library, content, tmp_path):
    path = tmp_path / "weights.pth"
    if content == "a pickle":
        torch.save({"conv": Malicious()}, path)
    elif content == "text":
        path.write_text("weights")
    elif content == "other weights":
        torch.save({"conv": torch.zeros(3)}, path)
    with pytest.raises(ArenaError) as error:
        Inception(str(path)).check()
    assert str(error.value).startswith(f"features.path={path}: expected torch-fidelity's file")
    assert "\n" not in str(error.value)


def test_without_the_library(tmp_path, monkeypatch):
    for name in ("torch_fidelity", "torch_fidelity.feature_extractor_inceptionv3"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ArenaError, match=r"^features=inception: expected the extra `inception`"):
        Inception(str(tmp_path)).check()


def test_without_a_path():
    with pytest.raises(ArenaError, match=r"^features\.path=null: expected"):
        Inception(None)
