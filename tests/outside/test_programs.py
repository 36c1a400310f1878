import os
import pickle
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from arena.core.errors import ArenaError
from arena.outside.programs import TENSORS_ONLY, load_network
from tests.generators.foreign import Z_DIM, Net


def load_program(path: Path) -> nn.Module:
    return load_network(path=str(path), prefix="generator.")


def import_network(name: str, kwargs: dict[str, object]) -> nn.Module:
    return load_network(name=name, kwargs=kwargs, prefix="generator.")


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def exported(net: nn.Module, path: Path, example: Tensor | None = None) -> Path:
    """A program that takes any number of z, or of inputs like the example."""
    inputs = (torch.randn(4, Z_DIM) if example is None else example,)
    program = torch.export.export(net.eval(), inputs, dynamic_shapes=({0: Dim.DYNAMIC},))
    torch.export.save(program, path)
    return path


def scripted(net: nn.Module, path: Path) -> Path:
    torch.jit.script(net.eval()).save(str(path))
    return path


@pytest.mark.parametrize("save", [scripted, exported])
def test_a_program_makes_what_the_network_made(net, tmp_path, save):
    loaded, z = load_program(save(net, tmp_path / "net.pt2")), torch.randn(5, Z_DIM)
    torch.testing.assert_close(loaded(z), net(z))
    assert {name for name, _ in loaded.named_parameters()} == {name for name, _ in net.named_parameters()}


# --- what would run on being loaded ----------------------------------------------------------------------------------


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def rewritten(source: Path, target: Path, change: dict[str, bytes]) -> Path:
    """The archive with other content under the names that end so, or with more of it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, next((value for end, value in change.items() if name.endswith(end)), old.read(name)))
        for end, value in change.items():
            if not any(name.endswith(end) for name in old.namelist()):
                new.writestr(f"net/{end}", value)
    return target


def test_nothing_in_an_exported_program_is_unpickled(net, tmp_path):
    """Torch itself falls back to unpickling example inputs that are no tensors, and unpickles Python constants."""
    good, boom = exported(net, tmp_path / "net.pt2"), Bomb(tmp_path / "boom")
    assert load_program(rewritten(good, tmp_path / "same.pt2", {}))(torch.randn(2, Z_DIM)).shape == (2, 1, 8, 8)
    saved = BytesIO()
    torch.save((boom,), saved)
    with pytest.raises(ArenaError, match=r"bad.pt2: expected a program that torch can load") as error:
        load_program(rewritten(good, tmp_path / "bad.pt2", {"data/sample_inputs/model.pt": saved.getvalue()}))
    assert "\n" not in str(error.value)
    for name in ("data/constants/opaque_obj_0", "data/constants/OPAQUE_OBJ_0", "data/aotinductor/model/code.so"):
        with pytest.raises(ArenaError, match=r"odd.pt2: expected a graph and tensors, found data"):
            load_program(rewritten(good, tmp_path / "odd.pt2", {name: pickle.dumps(boom)}))
    assert not (tmp_path / "boom").exists()
    assert TENSORS_ONLY not in os.environ


def test_nothing_in_torchscript_is_unpickled(net, tmp_path):
    bad = rewritten(
        scripted(net, tmp_path / "net.pt"), tmp_path / "bad.pt", {"/data.pkl": pickle.dumps(Bomb(tmp_path / "boom"))}
    )
    with pytest.raises(ArenaError, match=r"bad.pt: expected a program that torch can load"):
        load_program(bad)
    assert not (tmp_path / "boom").exists()


def test_pickles_are_refused_unread(net, tmp_path):
    torch.save(net, tmp_path / "whole.pt")
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    for name in ("whole.pt", "weights.pt", "plain.pkl"):
        with pytest.raises(
            ArenaError, match=rf"{name}: expected TorchScript .* pickles are not read: save the weights"
        ):
            load_program(tmp_path / name)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("name", ["nothing.pt", "."])
def test_what_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(ArenaError, match=r"generator.path=.*: expected a program that torch can load"):
        load_program(tmp_path / name)


# --- by name ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Net", "make"])
def test_a_class_or_a_function_is_called_with_its_keywords(name):
    network = import_network(f"tests.generators.foreign.{name}", {"width": 7})
    assert isinstance(network, Net)
    assert network.layers[1].num_features == 7


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("tests.generators.foreign.Nope", {}, "generator.name=tests.generators.foreign.Nope: expected package.module"),
        ("nowhere.net.Net", {}, "generator.name=nowhere.net.Net: .*No module named 'nowhere'"),
        ("..", {}, r"generator.name=\.\.: expected package.module.Class"),
        ("tests.generators.foreign", {}, "expected a class or a function, found module"),
        ("tests.generators.foreign.Net", {"depth": 2}, r"generator.kwargs={'depth': 2}: .*cannot be built \(TypeError"),
        ("builtins.dict", {}, r"generator.name=builtins.dict: expected it to make an nn\.Module, found dict"),
    ],
)
def test_what_is_no_network_is_named(name, kwargs, message):
    with pytest.raises(ArenaError, match=message) as error:
        import_network(name, kwargs)
    assert "\n" not in str(error.value)
