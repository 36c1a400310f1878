"""Feature spaces of pretrained networks, with random weights in the libraries' own files."""

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
from arena.imaging.images import to_float
from arena.metrics.features.pretrained import Clip, Dinov2, Inception
from arena.outside.encoders import as_colour
from tests.encoders import clip, dinov2

transformers = pytest.importorskip("transformers")
spec = importlib.util.find_spec("torch_fidelity")
installed = pytest.mark.skipif(spec is None, reason="needs torch-fidelity")


@pytest.fixture
def images():
    return torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("make", "space", "d"), [(dinov2, Dinov2, 16), (clip, Clip, 24)])
def test_features_come_from_local_weights(make, space, d, images, tmp_path, capfd):
    space = space(make(tmp_path))
    capfd.readouterr()
    space.check()
    features = space.fit(images)
    values = features(images)
    assert values.shape == (5, d)
    assert values.dtype == np.float32
    np.testing.assert_allclose(features(images[3:4]), values[3:4], atol=1e-5)
    np.testing.assert_array_equal(space.fit(images[:2])(images), values)  # the reals have no effect
    assert np.abs(values[0] - values[1]).max() > 1e-3
    assert features(images[:, :1]).shape == (5, d)
    assert capfd.readouterr() == ("", "")


def test_colours_are_normalised_as_in_training(images, tmp_path):
    """The library's processor divides by 255, then normalises by the mean and deviation of ImageNet."""
    dinov2(tmp_path)
    network = transformers.Dinov2Model.from_pretrained(tmp_path).eval()
    large = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = network((large / 255 - mean) / deviation).pooler_output
    np.testing.assert_allclose(Dinov2(str(tmp_path)).fit(large)(large), expected, atol=1e-4)


def test_resized_images_keep_their_range():
    stripes = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    stripes[..., ::2] = 255
    values = as_colour(to_float(stripes), 32)
    assert values.shape == (1, 3, 32, 32)
    assert values.min() == 0
    assert values.max() == 1


@pytest.mark.parametrize("other", ["missing", "empty", "of another network", "pickled"])
def test_bad_paths_are_one_line(other, tmp_path):
    path = tmp_path / "weights"
    if other != "missing":
        path.mkdir()
    if other == "of another network":
        clip(path)
    if other == "pickled":
        dinov2(path)
        torch.save({}, path / "pytorch_model.bin")
        (path / "model.safetensors").unlink()
    with pytest.raises(ArenaError) as error:
        Dinov2(str(path)).check()
    assert str(error.value).startswith(f"features.path={path}: expected a folder with the config.json")
    assert "\n" not in str(error.value)


def test_a_name_that_is_not_in_the_cache_is_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))

    def online(*args, **kwargs):
        raise AssertionError("connected")

    monkeypatch.setattr("socket.socket.connect", online)
    with pytest.raises(ArenaError, match=r"^features\.path=nobody/nothing: expected"):
        Dinov2("nobody/nothing").check()


@pytest.mark.parametrize("space", [Dinov2, Clip, Inception])
def test_without_a_path(space):
    with pytest.raises(ArenaError, match=r"^features\.path=null: expected"):
        space(None)


def test_without_transformers(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ArenaError, match=r"^features\.path=.*: expected the extra `features`"):
        Dinov2(str(tmp_path)).check()


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
def test_features_of_inception_come_from_local_weights(state, tmp_path):
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
def test_bad_weights_of_inception_are_one_line(library, content, tmp_path):
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


def test_without_torch_fidelity(tmp_path, monkeypatch):
    for name in ("torch_fidelity", "torch_fidelity.feature_extractor_inceptionv3"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ArenaError, match=r"^features=inception: expected the extra `inception`"):
        Inception(str(tmp_path)).check()
